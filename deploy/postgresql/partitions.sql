-- chat_messages in sixteen partitions, by a hash of its owner, with all rows that are in it (docs/scaling.md). Nobody reads or writes a message meanwhile, and
-- what they take on the disk is taken twice until the end. As the role that owns the tables: psql -1 -f deploy/postgresql/partitions.sql chatsvc
DO $$
DECLARE
  part record;
  numbers text := pg_get_serial_sequence('chat_messages', 'id');
BEGIN
  PERFORM set_config('chatsvc.acts_for', '*', true);
  LOCK chat_messages, reply_chunks;
  IF EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = 'chat_messages'::regclass) THEN
    RAISE EXCEPTION 'chat_messages is in partitions already';
  END IF;
  -- PostgreSQL wants the column that partitions go by in every unique key: these are the keys of that page.
  ALTER TABLE reply_chunks DROP CONSTRAINT fk_reply_chunks_chat_messages, DROP CONSTRAINT pk_reply_chunks;
  ALTER TABLE reply_chunks ADD CONSTRAINT pk_reply_chunks PRIMARY KEY (message_id, at, user_id);
  -- All that hangs on the table, in the order in which it is made again, each by its own name.
  CREATE TEMPORARY TABLE parts ON COMMIT DROP AS
    SELECT 1 AS step, 'ALTER TABLE chat_messages ADD CONSTRAINT pk_chat_messages PRIMARY KEY (id, user_id)' AS command
    UNION ALL SELECT 2, 'CREATE UNIQUE INDEX uq_chat_messages_running ON chat_messages (session_id, user_id) WHERE status = ''streaming'''
    UNION ALL SELECT 2, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'chat_messages'::regclass AND NOT indisunique
    UNION ALL SELECT 3, format('ALTER TABLE chat_messages ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE conrelid = 'chat_messages'::regclass AND contype = 'f'
    UNION ALL SELECT 3, 'ALTER TABLE reply_chunks ADD CONSTRAINT fk_reply_chunks_chat_messages FOREIGN KEY (message_id, user_id) '
      'REFERENCES chat_messages (id, user_id) ON DELETE CASCADE'
    UNION ALL SELECT 4, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'chat_messages'::regclass AND NOT tgisinternal
    UNION ALL SELECT 5, format('CREATE POLICY %I ON chat_messages USING (%s)', policyname, qual) FROM pg_policies WHERE tablename = 'chat_messages';
  CREATE TABLE spread (LIKE chat_messages INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING CONSTRAINTS) PARTITION BY HASH (user_id);
  FOR remainder IN 0..15 LOOP
    EXECUTE format('CREATE TABLE chat_messages_%s PARTITION OF spread FOR VALUES WITH (MODULUS 16, REMAINDER %s)', remainder, remainder);
  END LOOP;
  INSERT INTO spread OVERRIDING SYSTEM VALUE SELECT * FROM chat_messages;
  EXECUTE format('SELECT setval(%L, last_value, is_called) FROM %s', pg_get_serial_sequence('spread', 'id'), numbers);
  DROP TABLE chat_messages;
  ALTER TABLE spread RENAME TO chat_messages;
  ALTER SEQUENCE spread_id_seq RENAME TO chat_messages_id_seq;
  FOR part IN SELECT command FROM parts ORDER BY step LOOP
    EXECUTE part.command;
  END LOOP;
  ALTER TABLE chat_messages ENABLE ROW LEVEL SECURITY;
  ALTER TABLE chat_messages FORCE ROW LEVEL SECURITY;
  ANALYZE chat_messages;  -- autovacuum does so for each partition, and never for the whole
END
$$;
