-- What the demo needs beside role.sql. PostgreSQL's container runs both at its first start.

-- The application, and something to sell.
CREATE ROLE shop LOGIN;
CREATE DATABASE shop OWNER shop;

-- The ledger of pgbailiff, and Grafana, which may read it.
CREATE ROLE pgbailiff_ledger LOGIN;
CREATE ROLE grafana LOGIN;
CREATE DATABASE pgbailiff OWNER pgbailiff_ledger ENCODING 'UTF8' TEMPLATE template0;

\connect shop shop

CREATE TABLE orders (id int PRIMARY KEY, paid boolean NOT NULL DEFAULT false, changed timestamptz);
INSERT INTO orders SELECT generate_series(1, 1000);

\connect pgbailiff pgbailiff_ledger

-- `pgbailiff ledger migrate` makes the schema and its tables later.
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO grafana;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO grafana;
