-- Put entries into a queue.
--
-- KEYS[1]  {PREFIX:q:QUEUE}:meta
-- ARGV[3]  msgpack [now, [id, frame, priority, available_at, expires_at, type], ...]
-- ARGV[4]  the channel on which is said that something came
-- ARGV[5]  1: its name has just been put on the list of all queues, PREFIX:names, with now as its score
-- returns  msgpack of a boolean for each: false: the queue knows this id; nil: its name is to be put on the list first
--
-- Idempotent by the id and the receipt.
--
-- The list and the queue are in two slots. So a name is listed before anything is in its queue, which remembers that. A
-- queue that is forgotten forgets it with everything else, and only then its name goes, if it has not been listed anew:
-- whoever appends meanwhile finds the queue without the mark, and lists it.

local again = answered()
if again then
  return again
end
if ARGV[5] ~= '1' and call('HEXISTS', KEYS[1], 'listed') == 0 then
  return false
end
local entries = cmsgpack.unpack(ARGV[3])
local now, results, came, ids = entries[1], {}, false, {}
for at = 2, #entries do
  ids[at - 1] = entries[at][1]
end
if ARGV[5] == '1' then
  call('HSET', KEYS[1], 'listed', 1)
  call('HSETNX', KEYS[1], 'token', now) -- above all that a queue of this name had before it was forgotten
end
fetch(ids)
for at = 2, #entries do
  local entry = entries[at]
  local id = entry[1]
  if item_of(id) then
    results[#results + 1] = false
  else
    local item = {following('number'), entry[3], entry[4], entry[5], now, WAITING, 0, 0, 0, '', 0, '', entry[6] or ''}
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
