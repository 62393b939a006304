-- The peer's database: the obvious tables with a trigger that costs the same at any length, filled with
--   users u1 to u:users with ten sessions each (u1 with 5,000), about twenty messages in each,
--   20,000 messages in session 11 (of u2), 50 in session 12 (of u2 too).
-- Session n has the id md5('s' || n) and belongs to u((n - 1) / 10 + 1); those above :users * 10 are the rest of u1's.
-- All of it lies in the past, as in life: a session whose newest message were of tomorrow would not move when one is appended.
-- psql -v users=10000 -f peers.sql
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET work_mem = '256MB';

CREATE TABLE chat_sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id text NOT NULL,
  title text,
  last_message text,
  message_count integer NOT NULL DEFAULT 0,
  agent_type text NOT NULL DEFAULT 'primary',
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  last_message_at timestamptz,
  metadata jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE chat_messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session_id uuid NOT NULL,
  role text NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
  content text NOT NULL,
  metadata jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION chat_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chat_sessions SET
    message_count = message_count + 1,
    last_message = left(NEW.content, 100),
    title = coalesce(title, CASE WHEN NEW.role = 'user' THEN left(NEW.content, 50) END),
    last_message_at = NEW.created_at,
    updated_at = NEW.created_at
  WHERE id = NEW.session_id;
  RETURN NULL;
END $$;

-- Texts of sixteen words, of which some are frequent and most are rare; the same in every run.
SELECT setseed(0.42) \g /dev/null
CREATE TEMP TABLE words AS SELECT i, substr(md5('w' || i), 1, 3 + (i % 6)) AS w FROM generate_series(1, 4000) i;
CREATE TEMP TABLE texts AS
  SELECT p AS i, string_agg(w.w, ' ') AS t
  FROM (SELECT p, 1 + floor(4000 * power(random(), 2))::int AS wi FROM generate_series(0, 19999) p, generate_series(1, 16)) x
  JOIN words w ON w.i = x.wi GROUP BY p;
ALTER TABLE texts ADD PRIMARY KEY (i);
CREATE TEMP TABLE s AS
  SELECT n, md5('s' || n)::uuid AS id,
    CASE WHEN n > :users * 10 THEN 'u1' ELSE 'u' || ((n - 1) / 10 + 1) END AS user_id,
    CASE n WHEN 11 THEN 20000 WHEN 12 THEN 50 ELSE 1 + floor(-19 * ln(1 - random()))::int END AS amount,
    now() - interval '320 days' + random() * interval '300 days' AS created_at, CASE n WHEN 11 THEN interval '1 minute' ELSE interval '40 minutes' END AS pause
  FROM generate_series(1, :users * 10 + 4990) n;
CREATE TEMP TABLE m AS
  SELECT s.id AS session_id, CASE WHEN k % 2 = 1 THEN 'user' ELSE 'assistant' END AS role,
    floor(random() * 20000)::int AS a, floor(random() * 20000)::int AS b, s.created_at + k * s.pause AS created_at
  FROM s, generate_series(1, s.amount) k;

INSERT INTO chat_messages (session_id, role, content, created_at)
  SELECT session_id, role, CASE WHEN role = 'user' THEN one.t ELSE one.t || ' ' || two.t END, created_at
  FROM m JOIN texts one ON one.i = m.a JOIN texts two ON two.i = m.b
  ORDER BY created_at;  -- sessions lie among each other on the disk, as they would in life
CREATE INDEX chat_messages_session_id_id_idx ON chat_messages (session_id, id);
ANALYZE chat_messages;
INSERT INTO chat_sessions (id, user_id, title, last_message, message_count, created_at, updated_at, last_message_at, metadata)
  SELECT s.id, s.user_id, 'Session ' || s.n, left(newest.content, 100), s.amount, s.created_at, newest.created_at, newest.created_at, '{"source": "load"}'
  FROM s JOIN LATERAL (SELECT content, created_at FROM chat_messages c WHERE c.session_id = s.id ORDER BY c.id DESC LIMIT 1) newest ON true;
CREATE INDEX chat_sessions_user_id_updated_at_idx ON chat_sessions (user_id, updated_at DESC);
ALTER TABLE chat_messages ADD CONSTRAINT chat_messages_session_fk FOREIGN KEY (session_id) REFERENCES chat_sessions (id) ON DELETE CASCADE;
CREATE TRIGGER chat_touch AFTER INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION chat_touch();
VACUUM (ANALYZE) chat_messages;
VACUUM (ANALYZE) chat_sessions;
