#!/bin/sh
# Run once, when the database is new: the roles and databases of the other containers, with their secrets.
set -eu
make() { # role, database, secret
    psql -v ON_ERROR_STOP=1 -v role="$1" -v database="$2" -v password="$(cat "/run/secrets/$3")" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"role";
SQL
}
make smartdorf smartdorf database
make chirpstack chirpstack chirpstack_database
make grafana grafana grafana_database
psql -v ON_ERROR_STOP=1 -d chirpstack -c 'CREATE EXTENSION pg_trgm'
psql -v ON_ERROR_STOP=1 -d smartdorf -c 'CREATE EXTENSION IF NOT EXISTS timescaledb'
