#!/usr/bin/env bash
# Run once by PostgreSQL's container, on an empty disk: a role without privileges, and a database that is its own.
set -euo pipefail
psql --username postgres --set ON_ERROR_STOP=1 --set password="$(cat /run/secrets/postgres)" <<'SQL'
CREATE ROLE chatsvc LOGIN PASSWORD :'password';
CREATE DATABASE chatsvc OWNER chatsvc ENCODING 'UTF8' TEMPLATE template0;
SQL
