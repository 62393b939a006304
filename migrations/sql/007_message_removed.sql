-- The look-backs are spelt as in 007_message_changed.sql, where the reason stands.
-- When the whole session goes, its row is gone already and none of these finds anything to do.
UPDATE chat_sessions SET
  message_count = message_count - 1,
  updated_at = CASE WHEN updated_at > {now} THEN updated_at ELSE {now} END
WHERE id = OLD.session_id;
UPDATE chat_sessions SET
  (newest_message_id, last_message_at) = (
    SELECT m.id, m.created_at FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL
    ORDER BY m.session_id DESC, m.id DESC LIMIT 1)
WHERE id = OLD.session_id AND newest_message_id = OLD.id;
UPDATE chat_sessions SET
  (last_message_id, last_message) = (
    SELECT m.id, substr(m.content, 1, 100) FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL
      AND m.status <> 'streaming' AND m.content <> ''
    ORDER BY m.session_id DESC, m.id DESC LIMIT 1)
WHERE id = OLD.session_id AND last_message_id = OLD.id;
UPDATE chat_sessions SET
  title_message_id = (
    SELECT m.id FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL AND m.role = 'user'
    ORDER BY m.session_id, m.id LIMIT 1),
  title = CASE title_from WHEN 'message' THEN (
    SELECT substr(m.content, 1, 50) FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL AND m.role = 'user'
    ORDER BY m.session_id, m.id LIMIT 1) ELSE title END
WHERE id = OLD.session_id AND title_message_id = OLD.id;
