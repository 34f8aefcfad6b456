;; JSON text checked as it lies in memory, sixteen bytes at a time where that helps: RFC 8259 without UTF-8. It says that a value is
;; whole, or that it is none; where and why is said by scan-json.ts. check-json.ts hands it the text piece by piece. `npm run docs`
;; makes scan-wasm.ts of it.
(module
  ;; 0: what comes next (below); 4: brackets that are open; 8: how many may be.
  ;; From 17 on: for each open bracket the one that will close it.
  ;; From 4096 on: a piece of the text, and behind it sixteen bytes of zero, which are right nowhere and so end every loop.
  (memory (export "memory") 1)

  ;; Behind all white space.
  (func $skipSpace (param $at i32) (result i32)
    (local $v v128) (local $others i32)
    (loop $more
      (local.set $v (v128.load (local.get $at)))
      (local.set $others (i32.xor (i32.const 0xffff) (i8x16.bitmask
        (v128.or
          (v128.or
            (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x20)))
            (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x0a))))
          (v128.or
            (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x0d)))
            (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x09))))))))
      (if (i32.eqz (local.get $others))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $more))))
    (i32.add (local.get $at) (i32.ctz (local.get $others))))

  ;; Behind all digits: with 0x46 added these are the greatest of all bytes, taken as signed.
  (func $skipDigits (param $at i32) (result i32)
    (local $others i32)
    (loop $more
      (local.set $others (i8x16.bitmask (i8x16.lt_s
        (i8x16.add (v128.load (local.get $at)) (i8x16.splat (i32.const 0x46)))
        (i8x16.splat (i32.const 0x76)))))
      (if (i32.eqz (local.get $others))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $more))))
    (i32.add (local.get $at) (i32.ctz (local.get $others))))

  (func $isHex (param $byte i32) (result i32)
    (i32.or
      (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x30)) (i32.const 10))
      (i32.lt_u (i32.sub (i32.or (local.get $byte) (i32.const 0x20)) (i32.const 0x61)) (i32.const 6))))

  ;; Behind the escape at $at; 0: there is none.
  (func $skipEscape (param $at i32) (result i32)
    (local $byte i32)
    (local.set $byte (i32.load8_u offset=1 (local.get $at)))
    (if (i32.eq (local.get $byte) (i32.const 0x75)) ;; u
      (then
        (return (select (i32.add (local.get $at) (i32.const 6)) (i32.const 0)
          (i32.and
            (i32.and (call $isHex (i32.load8_u offset=2 (local.get $at))) (call $isHex (i32.load8_u offset=3 (local.get $at))))
            (i32.and (call $isHex (i32.load8_u offset=4 (local.get $at))) (call $isHex (i32.load8_u offset=5 (local.get $at)))))))))
    (select (i32.add (local.get $at) (i32.const 2)) (i32.const 0)
      (i32.or
        (i32.or
          (i32.or (i32.eq (local.get $byte) (i32.const 0x22)) (i32.eq (local.get $byte) (i32.const 0x5c)))
          (i32.or (i32.eq (local.get $byte) (i32.const 0x2f)) (i32.eq (local.get $byte) (i32.const 0x62))))
        (i32.or
          (i32.or (i32.eq (local.get $byte) (i32.const 0x66)) (i32.eq (local.get $byte) (i32.const 0x6e)))
          (i32.or (i32.eq (local.get $byte) (i32.const 0x72)) (i32.eq (local.get $byte) (i32.const 0x74)))))))

  ;; Behind a number; or ~ where it stops.
  (func $skipNumber (param $at i32) (result i32)
    (local $from i32) (local $byte i32)
    (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x2d))
      (then (local.set $at (i32.add (local.get $at) (i32.const 1)))))
    (local.set $from (local.get $at))
    (local.set $at
      (if (result i32) (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x30))
        (then (i32.add (local.get $at) (i32.const 1)))
        (else (call $skipDigits (local.get $at)))))
    (if (i32.eq (local.get $at) (local.get $from))
      (then (return (i32.xor (local.get $at) (i32.const -1)))))
    (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x2e))
      (then
        (local.set $from (i32.add (local.get $at) (i32.const 1)))
        (local.set $at (call $skipDigits (local.get $from)))
        (if (i32.eq (local.get $at) (local.get $from))
          (then (return (i32.xor (local.get $at) (i32.const -1)))))))
    (if (i32.eq (i32.or (i32.load8_u (local.get $at)) (i32.const 0x20)) (i32.const 0x65))
      (then
        (local.set $from (i32.add (local.get $at) (i32.const 1)))
        (local.set $byte (i32.load8_u (local.get $from)))
        (if (i32.or (i32.eq (local.get $byte) (i32.const 0x2b)) (i32.eq (local.get $byte) (i32.const 0x2d)))
          (then (local.set $from (i32.add (local.get $from) (i32.const 1)))))
        (local.set $at (call $skipDigits (local.get $from)))
        (if (i32.eq (local.get $at) (local.get $from))
          (then (return (i32.xor (local.get $at) (i32.const -1)))))))
    (local.get $at))

  ;; Behind true, false or null; or ~ of where the longest of them would end.
  (func $skipWord (param $at i32) (param $byte i32) (result i32)
    (local $four i32)
    (local.set $four (i32.load (local.get $at)))
    (if (i32.or
          (i32.eq (local.get $four) (i32.const 0x65757274)) ;; true
          (i32.eq (local.get $four) (i32.const 0x6c6c756e))) ;; null
      (then (return (i32.add (local.get $at) (i32.const 4)))))
    (if (i32.and
          (i32.eq (local.get $byte) (i32.const 0x66))
          (i32.eq (i32.load offset=1 (local.get $at)) (i32.const 0x65736c61))) ;; alse
      (then (return (i32.add (local.get $at) (i32.const 5)))))
    (i32.xor (i32.add (local.get $at) (i32.const 5)) (i32.const -1)))

  ;; From $at on, to where the value is whole, the text is wrong or the piece ends. What has begun and may go on behind $end (an
  ;; escape, a number, a word) is not gone into: the next piece begins with it. $last: there is no next piece.
  ;;
  ;; What comes next, $state:
  ;;   0 a value                                            4 a colon
  ;;   1 a value, or the end of a list that has none yet    5 a comma or a closing bracket; with no bracket open, nothing
  ;;   2 a name, or the end of an object that has none yet  6 the rest of a string that is a value
  ;;   3 a name                                             7 the rest of a name
  ;;                                                        8 nothing: it is no JSON
  (func (export "scan") (param $at i32) (param $end i32) (param $last i32) (result i32)
    (local $state i32) (local $depth i32) (local $byte i32) (local $next i32) (local $sixteen v128) (local $special i32)
    (local.set $state (i32.load (i32.const 0)))
    (local.set $depth (i32.load (i32.const 4)))
    (block $stop
      (block $wrong
        (loop $go
          (block $after
            (block $value
              (block $rest
                (block $colon
                  (block $name
                    (br_if $rest (i32.ge_u (local.get $state) (i32.const 6)))
                    (local.set $byte (i32.load8_u (local.get $at)))
                    (if (i32.le_u (local.get $byte) (i32.const 0x20))
                      (then
                        (local.set $at (call $skipSpace (local.get $at)))
                        (br_if $stop (i32.ge_u (local.get $at) (local.get $end)))
                        (local.set $byte (i32.load8_u (local.get $at)))
                        (br_if $wrong (i32.le_u (local.get $byte) (i32.const 0x20)))))
                    (br_table $value $value $name $name $colon $after (local.get $state)))

                  ;; A name, or at once the end of the object.
                  (if (i32.ne (local.get $byte) (i32.const 0x22)) ;; "
                    (then
                      (br_if $after (i32.and
                        (i32.eq (local.get $byte) (i32.const 0x7d)) ;; }
                        (i32.eq (local.get $state) (i32.const 2))))
                      (br $wrong)))
                  (local.set $at (i32.add (local.get $at) (i32.const 1)))
                  (local.set $state (i32.const 7))
                  (br $rest))

                ;; A colon.
                (br_if $wrong (i32.ne (local.get $byte) (i32.const 0x3a)))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (local.set $state (i32.const 0))
                (br $go))

              ;; The rest of a string or a name: on to its quote, a backslash or a control character.
              (loop $plain
                (local.set $sixteen (v128.load (local.get $at)))
                (local.set $special (i8x16.bitmask
                  (v128.or
                    (v128.or
                      (i8x16.eq (local.get $sixteen) (i8x16.splat (i32.const 0x22)))
                      (i8x16.eq (local.get $sixteen) (i8x16.splat (i32.const 0x5c))))
                    (i8x16.eq (local.get $sixteen) (i8x16.min_u (local.get $sixteen) (i8x16.splat (i32.const 0x1f)))))))
                (if (i32.eqz (local.get $special))
                  (then
                    (local.set $at (i32.add (local.get $at) (i32.const 16)))
                    (br $plain))))
              (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $special))))
              (local.set $byte (i32.load8_u (local.get $at)))
              (if (i32.ne (local.get $byte) (i32.const 0x22)) ;; "
                (then
                  (if (i32.ne (local.get $byte) (i32.const 0x5c)) ;; \
                    (then
                      (br_if $stop (i32.ge_u (local.get $at) (local.get $end)))
                      (br $wrong)))
                  (local.set $next (call $skipEscape (local.get $at)))
                  (if (i32.eqz (local.get $next))
                    (then
                      (br_if $stop (i32.gt_u (i32.add (local.get $at) (i32.const 6)) (local.get $end)))
                      (br $wrong)))
                  (local.set $at (local.get $next))
                  (br $go)))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br_if $after (i32.eq (local.get $state) (i32.const 6)))
              (local.set $state (i32.const 4))
              ;; Nearly always the colon is next.
              (br_if $go (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x3a)))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (local.set $state (i32.const 0))
              (br $go))

            ;; A value, or at once the end of the list.
            (if (i32.eq (local.get $byte) (i32.const 0x22)) ;; "
              (then
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (local.set $state (i32.const 6))
                (br $go)))
            (if (i32.eq (i32.and (local.get $byte) (i32.const 0xdf)) (i32.const 0x5b)) ;; [ or {
              (then
                (br_if $wrong (i32.ge_u (local.get $depth) (i32.load (i32.const 8))))
                (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
                (i32.store8 offset=16 (local.get $depth) (i32.add (local.get $byte) (i32.const 2)))
                (local.set $state (select (i32.const 2) (i32.const 1) (i32.eq (local.get $byte) (i32.const 0x7b)))) ;; {
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br $go)))
            (br_if $after (i32.and
              (i32.eq (local.get $byte) (i32.const 0x5d)) ;; ]
              (i32.eq (local.get $state) (i32.const 1))))
            (local.set $next
              (if (result i32) (i32.gt_u (local.get $byte) (i32.const 0x39)) ;; above the digits
                (then (call $skipWord (local.get $at) (local.get $byte)))
                (else (call $skipNumber (local.get $at)))))
            ;; Whatever comes so near to the end may be longer, or no fault.
            (br_if $stop (i32.and
              (i32.eqz (local.get $last))
              (i32.ge_s (select (local.get $next) (i32.xor (local.get $next) (i32.const -1)) (i32.ge_s (local.get $next) (i32.const 0)))
                (local.get $end))))
            (br_if $wrong (i32.lt_s (local.get $next) (i32.const 0)))
            (local.set $at (local.get $next)))

          ;; A comma or closing brackets, white space maybe before them.
          (loop $closed
            (local.set $state (i32.const 5))
            (br_if $stop (i32.eqz (local.get $depth)))
            (local.set $byte (i32.load8_u (local.get $at)))
            (br_if $go (i32.le_u (local.get $byte) (i32.const 0x20)))
            (local.set $next (i32.load8_u offset=16 (local.get $depth)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (if (i32.eq (local.get $byte) (local.get $next))
              (then
                (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
                (br $closed))))
          (br_if $wrong (i32.ne (local.get $byte) (i32.const 0x2c)))
          (local.set $state (i32.const 0))
          (br_if $go (i32.ne (local.get $next) (i32.const 0x7d))) ;; }
          (local.set $state (i32.const 3))
          (br $go)))
      (local.set $state (i32.const 8)))
    (i32.store (i32.const 0) (local.get $state))
    (i32.store (i32.const 4) (local.get $depth))
    (local.get $at)))
