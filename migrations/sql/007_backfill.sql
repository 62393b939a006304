UPDATE chat_sessions SET
  message_count = (SELECT count(*) FROM chat_messages m WHERE m.session_id = chat_sessions.id AND m.deleted_at IS NULL),
  title_message_id = (
    SELECT m.id FROM chat_messages m
    WHERE m.session_id = chat_sessions.id AND m.deleted_at IS NULL AND m.role = 'user' ORDER BY m.id LIMIT 1),
  title = (
    SELECT substr(m.content, 1, 50) FROM chat_messages m
    WHERE m.session_id = chat_sessions.id AND m.deleted_at IS NULL AND m.role = 'user' ORDER BY m.id LIMIT 1),
  (newest_message_id, last_message_at) = (
    SELECT m.id, m.created_at FROM chat_messages m
    WHERE m.session_id = chat_sessions.id AND m.deleted_at IS NULL ORDER BY m.id DESC LIMIT 1),
  (last_message_id, last_message) = (
    SELECT m.id, substr(m.content, 1, 100) FROM chat_messages m
    WHERE m.session_id = chat_sessions.id AND m.deleted_at IS NULL AND m.status <> 'streaming' AND m.content <> ''
    ORDER BY m.id DESC LIMIT 1)
