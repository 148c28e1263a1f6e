-- Put in front of the scripts of leases by scripts.py: which life of which server this is, '' where INFO may not be asked.
--
-- A server that starts again may have forgotten what it said last (`everysec`: a second), and a replica that took over
-- may never have heard it: what an owner remembers is then ahead of what is stored.

local function life()
  local said = redis.pcall('INFO', 'server')
  return type(said) == 'string' and string.match(said, 'run_id:(%x+)') or ''
end

