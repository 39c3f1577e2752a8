# No build step: Node runs the TypeScript as it is.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The devDependency node@24 is for laptops; here the image is Node 24.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
WORKDIR /app
# Each thread would have a heap of malloc of its own, for what both do in turns.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY src ./src
USER 65532:65532
EXPOSE 8443 9090
# Two heaps in one process: with the default of 16 each keeps three times as much for what is young as it needs.
CMD ["node", "--max-semi-space-size=4", "src/main.ts"]
