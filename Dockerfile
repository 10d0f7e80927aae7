# Syncline's own image: one image for server and workers, which differ by their command (see docker-compose.yml).
# Debian and not Alpine, because Temporal's native core is built against glibc.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
RUN npm ci
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY bin ./bin
# A fresh volume takes over the owner of the folder it is mounted on.
RUN mkdir -p /var/lib/syncline && chown node:node /var/lib/syncline
USER node
ENTRYPOINT ["node", "bin/syncline.js"]
CMD ["--help"]
