# Alpine with musl: goscope-postgres-linux-*-musl. This file has not been run by the project's tests.
FROM node:24-alpine AS packages
WORKDIR /app
# Not node_modules from outside of the image, nor from an image with glibc. (.dockerignore: node_modules)
COPY package.json package-lock.json ./
RUN npm ci --omit=dev

FROM node:24-alpine
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json app.mjs ./
USER node
CMD ["node", "app.mjs"]
