// Server-sent events, read with fetch: EventSource cannot POST. An event may come in any number of pieces.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

function parsed(block) {
  const found = { name: "", id: 0, data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) found.name = line.slice(7);
    else if (line.startsWith("id: ")) found.id = Number(line.slice(4));
    else if (line.startsWith("data: ")) found.data += line.slice(6);
  }
  return found.name ? { ...found, data: JSON.parse(found.data) } : null;
}
