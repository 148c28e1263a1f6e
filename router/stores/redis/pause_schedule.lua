-- Pause a schedule, or let it go on with a tick.
--
-- KEYS[1]  {PREFIX:schedules}:meta
-- ARGV     id, 1 or 0, the open tick if it goes on (from the third on)
-- returns  msgpack of a boolean: false: there is none
--
-- Idempotent: to pause what is paused changes nothing.

local id, paused = ARGV[3], tonumber(ARGV[4])
local known = schedule_of(id)
if known and known[PAUSED] ~= paused then
  known[PAUSED] = paused
  if paused == 0 then
    known[NEXT] = tonumber(ARGV[5])
  end
  keep(id, known)
end
return cmsgpack.pack(known and true or false)
