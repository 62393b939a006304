-- The look-backs ask for a range of one session and not for an equality: there PostgreSQL would know that the order by
-- id alone will do, and in a database of few long sessions walk the primary key, through everybody's messages.
-- The count first: it takes the row's lock. The look-back comes in a later statement, since within one the
-- subquery would still see the rows as they were before the lock was waited for.
UPDATE chat_sessions SET
  message_count = message_count + CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE 0 END - CASE WHEN OLD.deleted_at IS NULL THEN 1 ELSE 0 END,
  updated_at = CASE WHEN updated_at > {now} THEN updated_at ELSE {now} END
WHERE id = NEW.session_id;
UPDATE chat_sessions SET
  (newest_message_id, last_message_at) = (
    SELECT m.id, m.created_at FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL
    ORDER BY m.session_id DESC, m.id DESC LIMIT 1)
WHERE id = NEW.session_id AND (newest_message_id = NEW.id OR NEW.deleted_at IS NULL AND (newest_message_id IS NULL OR newest_message_id < NEW.id));
UPDATE chat_sessions SET
  (last_message_id, last_message) = (
    SELECT m.id, substr(m.content, 1, 100) FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL
      AND m.status <> 'streaming' AND m.content <> ''
    ORDER BY m.session_id DESC, m.id DESC LIMIT 1)
WHERE id = NEW.session_id
  AND (last_message_id = NEW.id OR NEW.deleted_at IS NULL AND (last_message_id IS NULL OR last_message_id < NEW.id));
UPDATE chat_sessions SET
  title_message_id = (
    SELECT m.id FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL AND m.role = 'user'
    ORDER BY m.session_id, m.id LIMIT 1),
  title = CASE title_from WHEN 'message' THEN (
    SELECT substr(m.content, 1, 50) FROM chat_messages m
    WHERE m.session_id BETWEEN chat_sessions.id AND chat_sessions.id AND m.deleted_at IS NULL AND m.role = 'user'
    ORDER BY m.session_id, m.id LIMIT 1) ELSE title END
WHERE id = NEW.session_id
  AND (title_message_id = NEW.id OR NEW.deleted_at IS NULL AND NEW.role = 'user' AND (title_message_id IS NULL OR title_message_id > NEW.id));
