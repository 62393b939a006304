-- A person gave their title back: the first live user message speaks again.
UPDATE chat_sessions SET title = (SELECT substr(m.content, 1, 50) FROM chat_messages m WHERE m.id = title_message_id)
WHERE id = NEW.id;
