-- Reads nothing but the session row that it locks, so it is right under concurrency and costs the same at any length.
UPDATE chat_sessions SET
  message_count = message_count + 1,
  updated_at = CASE WHEN updated_at > NEW.created_at THEN updated_at ELSE NEW.created_at END,
  title = CASE WHEN title_from = 'message' AND NEW.role = 'user' AND (title_message_id IS NULL OR title_message_id > NEW.id)
    THEN substr(NEW.content, 1, 50) ELSE title END,
  title_message_id = CASE WHEN NEW.role = 'user' AND (title_message_id IS NULL OR title_message_id > NEW.id)
    THEN NEW.id ELSE title_message_id END,
  last_message = CASE WHEN NEW.status <> 'streaming' AND NEW.content <> '' AND (last_message_id IS NULL OR last_message_id < NEW.id)
    THEN substr(NEW.content, 1, 100) ELSE last_message END,
  last_message_at = CASE WHEN newest_message_id IS NULL OR newest_message_id < NEW.id THEN NEW.created_at ELSE last_message_at END,
  newest_message_id = CASE WHEN newest_message_id IS NULL OR newest_message_id < NEW.id THEN NEW.id ELSE newest_message_id END,
  last_message_id = CASE WHEN NEW.status <> 'streaming' AND NEW.content <> '' AND (last_message_id IS NULL OR last_message_id < NEW.id)
    THEN NEW.id ELSE last_message_id END
WHERE id = NEW.session_id;
