-- A migrated SQLite file gets the same users and sessions as peers.sql makes, the triggers keeping what they keep.
-- Parameters stand in the table `given` (users); session_id(n) is md5('s' || n); `texts` holds 2,000 texts.
INSERT INTO chat_sessions (id, user_id, title, title_from, status, metadata, created_at, updated_at)
  WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted, given WHERE n < users * 10 + 4990)
  SELECT session_id(n), 'u' || CASE WHEN n > users * 10 THEN 1 ELSE (n - 1) / 10 + 1 END, 'Session ' || n, 'person', 'ACTIVE', '{"source": "load"}',
    strftime('%Y-%m-%d %H:%M:%S.000000', 'now', '-320 days', (n * 7919 % 25920000) || ' seconds'),
    strftime('%Y-%m-%d %H:%M:%S.000000', 'now', '-320 days', (n * 7919 % 25920000) || ' seconds')
  FROM counted, given;
-- A step of the recursion is one more message of every session that has one: sessions lie among each other in the file, as in life.
INSERT INTO chat_messages (session_id, user_id, role, content, metadata, status, created_at)
  WITH RECURSIVE
    numbered (n, user_id, id, created_at) AS (SELECT CAST(substr(title, 9) AS INTEGER), user_id, id, created_at FROM chat_sessions),
    said (n, user_id, id, created_at, amount, k) AS (
      SELECT n, user_id, id, created_at, CASE n WHEN 11 THEN 20000 WHEN 12 THEN 50 ELSE 1 + n * 7919 % 39 END, 1 FROM numbered
      UNION ALL SELECT n, user_id, id, created_at, amount, k + 1 FROM said WHERE k < amount)
  SELECT s.id, s.user_id, CASE WHEN k % 2 = 1 THEN 'user' ELSE 'assistant' END,
    CASE WHEN k % 2 = 1 THEN one.t ELSE one.t || ' ' || two.t END, '{}', 'complete',
    strftime('%Y-%m-%d %H:%M:%S.000000', s.created_at, (k * CASE s.n WHEN 11 THEN 1 ELSE 40 END) || ' minutes')
  FROM said s CROSS JOIN texts one ON one.i = (s.n * 31 + k * 17) % 2000 CROSS JOIN texts two ON two.i = (s.n * 13 + k * 29) % 2000;
UPDATE chat_sessions SET updated_at = last_message_at;
