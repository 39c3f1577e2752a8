# No build step: Node runs the TypeScript as it is.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The devDependency node@24 is for laptops; here the image is Node 24.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY src ./src
USER 65532:65532
EXPOSE 8443 9090
CMD ["node", "src/main.ts"]
