-- Put entries into a queue.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [now, [id, frame, priority, available_at, expires_at], ...]
-- ARGV[4]  the channel on which is said that something came
-- returns  msgpack of a boolean for each: false: the queue knows this id
--
-- Idempotent by the id and the receipt.

local again = answered()
if again then
  return again
end
local entries = cmsgpack.unpack(ARGV[3])
local now, results, came, ids = entries[1], {}, false, {}
for at = 2, #entries do
  ids[at - 1] = entries[at][1]
end
fetch(ids)
for at = 2, #entries do
  local entry = entries[at]
  local id = entry[1]
  if item_of(id) then
    results[#results + 1] = false
  else
    local item = {following('number'), entry[3], entry[4], entry[5], now, WAITING, 0, 0, 0, '', 0}
    hset('frames', id, entry[2])
    wait(id, item, entry[4], now)
    keep(id, item)
    results[#results + 1] = true
    came = came or entry[4] <= now
  end
end
flush()
if came then
  call('PUBLISH', ARGV[4], '')
end
return answer(results)
