UPDATE chat_sessions SET
  message_count = 0,
  updated_at = CASE WHEN updated_at > {now} THEN updated_at ELSE {now} END,
  title = CASE title_from WHEN 'message' THEN NULL ELSE title END,
  title_message_id = NULL, last_message = NULL, last_message_at = NULL, last_message_id = NULL, newest_message_id = NULL
WHERE message_count > 0;
