\set n 10 * random(2, :users - 1) + random(1, 9)
SELECT s.id, s.title, s.last_message, s.message_count, s.agent_type, s.is_active, s.created_at, s.updated_at, s.last_message_at, s.metadata,
    m.id AS message_id, m.role, m.content, m.metadata AS message_metadata, m.created_at AS message_created_at
  FROM chat_sessions s
  LEFT JOIN LATERAL (SELECT * FROM chat_messages WHERE session_id = s.id ORDER BY id DESC LIMIT 50) m ON true
  WHERE s.id = md5('s' || :n)::uuid AND s.user_id = 'u' || ((:n - 1) / 10 + 1);
