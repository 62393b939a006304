\set n 10 * random(3, :users)
\set k random(1, 1000000)
INSERT INTO chat_messages (session_id, role, content)
  SELECT id, 'user', 'Benchmark message ' || :k || ' that has about the length of a short question a person would type into a chat window, no more.'
  FROM chat_sessions WHERE id = md5('s' || :n)::uuid AND user_id = 'u' || ((:n - 1) / 10 + 1)
  RETURNING id, session_id, role, content, metadata, created_at;
