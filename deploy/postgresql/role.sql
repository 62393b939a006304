-- What the service otherwise sets on each of its connections, for when PgBouncer lets none of that through (docs/deployment.md).
-- psql -f deploy/postgresql/role.sql chatsvc
ALTER ROLE chatsvc SET statement_timeout = '5s';
ALTER ROLE chatsvc SET lock_timeout = '3s';
ALTER ROLE chatsvc SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE chatsvc SET timezone = 'UTC';
ALTER ROLE chatsvc SET enable_seqscan = off;
ALTER ROLE chatsvc SET random_page_cost = 1.1;
ALTER ROLE chatsvc SET jit = off;
ALTER ROLE chatsvc SET plan_cache_mode = 'force_generic_plan';
-- Who says nothing acts for nobody, and sees no row of anybody.
ALTER ROLE chatsvc SET chatsvc.acts_for = '';
