-- What wrk asks for. PEOPLE is a file of lines "token, session to read, session to append to"; KIND is list, read, append or mix
-- (30 % append, 35 % list, 35 % read); LIST, READ and APPEND are paths, {id} the session; BODY is what is appended.
local kind = os.getenv("KIND")
local paths = {list = os.getenv("LIST"), read = os.getenv("READ"), append = os.getenv("APPEND")}
local body = os.getenv("BODY")
local tokens, reads, appends = {}, {}, {}
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init()
  for line in io.lines(os.getenv("PEOPLE")) do
    local token, to_read, to_append = line:match("(%S+) (%S+) (%S+)")
    tokens[#tokens + 1], reads[#reads + 1], appends[#appends + 1] = "Bearer " .. token, to_read, to_append
  end
  math.randomseed(os.time() + number * 7919)
end

local function drawn()
  if kind ~= "mix" then return kind end
  local draw = math.random(100)
  return draw <= 30 and "append" or (draw <= 65 and "list" or "read")
end

function request()
  local who, what = math.random(#tokens), drawn()
  if what == "list" then return wrk.format("GET", paths.list, {Authorization = tokens[who]}) end
  if what == "read" then return wrk.format("GET", (paths.read:gsub("{id}", reads[who])), {Authorization = tokens[who]}) end
  return wrk.format("POST", (paths.append:gsub("{id}", appends[who])), {Authorization = tokens[who], ["Content-Type"] = "application/json"}, body)
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format('JSON {"requests": %d, "us": %d, "p50": %d, "p99": %d, "bytes": %d, "errors": %d}\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.bytes, failed.connect + failed.read + failed.write + failed.status + failed.timeout))
end
