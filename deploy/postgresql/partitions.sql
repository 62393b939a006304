-- chat_messages in sixteen partitions, by a hash of its owner (docs/scaling.md). On a database that was just migrated, after the keys of that page and before
-- flask copy fills it: psql -1 -f deploy/postgresql/partitions.sql chatsvc, as the role that owns the tables.
DO $$
DECLARE
  part record;
BEGIN
  PERFORM set_config('chatsvc.acts_for', '*', true);
  IF EXISTS (SELECT FROM chat_messages) THEN
    RAISE EXCEPTION 'chat_messages has rows. Make an empty database, and fill it with flask copy afterwards';
  END IF;
  -- All that hangs on the table, in the order in which it is made again, each by its own name.
  CREATE TEMPORARY TABLE parts ON COMMIT DROP AS
    SELECT CASE contype WHEN 'p' THEN 1 ELSE 3 END AS step,
      format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS command
      FROM pg_constraint WHERE contype IN ('p', 'f') AND 'chat_messages'::regclass IN (conrelid, confrelid)
    UNION ALL SELECT 2, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'chat_messages'::regclass AND NOT indisprimary
    UNION ALL SELECT 4, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'chat_messages'::regclass AND NOT tgisinternal
    UNION ALL SELECT 5, format('CREATE POLICY %I ON chat_messages USING (%s)', policyname, qual) FROM pg_policies WHERE tablename = 'chat_messages';
  CREATE TABLE spread (LIKE chat_messages INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING CONSTRAINTS) PARTITION BY HASH (user_id);
  DROP TABLE chat_messages CASCADE;
  ALTER TABLE spread RENAME TO chat_messages;
  FOR remainder IN 0..15 LOOP
    EXECUTE format('CREATE TABLE chat_messages_%s PARTITION OF chat_messages FOR VALUES WITH (MODULUS 16, REMAINDER %s)', remainder, remainder);
  END LOOP;
  FOR part IN SELECT command FROM parts ORDER BY step LOOP
    EXECUTE part.command;
  END LOOP;
  ALTER TABLE chat_messages ENABLE ROW LEVEL SECURITY;
  ALTER TABLE chat_messages FORCE ROW LEVEL SECURITY;
END
$$;
