\set u random(3, :users)
SELECT id, title, last_message, message_count, agent_type, is_active, created_at, updated_at, last_message_at, metadata,
    (SELECT count(*) FROM chat_sessions WHERE user_id = 'u' || :u) AS total
  FROM chat_sessions WHERE user_id = 'u' || :u ORDER BY updated_at DESC LIMIT 20;
