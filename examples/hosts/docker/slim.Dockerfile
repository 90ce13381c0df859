# Debian with glibc: goscope-postgres-linux-*-gnu. This file has not been run by the project's tests.
FROM node:24-slim AS packages
WORKDIR /app
# Not node_modules from outside of the image: the addon there is for another platform. (.dockerignore: node_modules)
COPY package.json package-lock.json ./
RUN npm ci --omit=dev

FROM node:24-slim
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json app.mjs ./
USER node
CMD ["node", "app.mjs"]
