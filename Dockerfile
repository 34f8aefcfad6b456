# Two stages: the first compiles, the last holds JavaScript, production packages and the image's own Node. Nothing runs as root.
FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json openapi.json README.md CHANGELOG.md ./
COPY deploy deploy
COPY config config
COPY src src
# The packages that carry a Node binary are optional ones, for machines with an older Node; a container leaves them out.
RUN npm run build && npm ci --omit=dev --omit=optional

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /build/dist ./
COPY --from=build /build/node_modules node_modules
# Compiled ahead, by the user who will run it, since nobody else finds the code, and then nobody's to change.
RUN mkdir /data node_modules/.cache && chown 10001:10001 /data node_modules/.cache \
  && setpriv --reuid=10001 --regid=10001 --clear-groups node deploy/compile.mjs \
  && chown -R root:root node_modules/.cache && chmod -R a+rX node_modules/.cache
USER 10001:10001
VOLUME /data
EXPOSE 8080
# Reachable from outside the container means that callers must be configured: mount a configuration file.
ENTRYPOINT ["node", "src/main.js"]
CMD ["--config", "/etc/sallyport/sallyport.yaml"]
