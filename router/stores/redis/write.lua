-- A batch of writes for one partition, done wholly or not at all: everything is decided in Lua's memory, then written.
--
-- KEYS[1]  {PREFIX:pN}:meta
-- ARGV[1]  msgpack [now, router, epoch, token (0: not held), channel, stride, origin, nonce, touch, learn, writes, lists]
--            channel: news for ROUTER go to channel .. ROUTER
--            stride, origin: positions are origin modulo stride
--            nonce: not "" when the batch has a replay, which cannot be repeated by itself
--            touch: 1: write something even if nothing changes, so that WAIT waits for it
--            learn: [[type, type it opposes], ...] that this router has not told before
--            writes, as write.py packs them:
--              [1, id, guild, subject, user, type, queue, key, fingerprint, idempotency, due_at, expires_at, window,
--               opposes, frame]                    accept; opposes: a number in lists, 0: nothing
--              [2, id]                             enter
--              [3, id, attempt, protocol]          begin
--              [4, id, until, attempts, trail]     defer
--              [5, id, status, answer, trail, applied, opposes]      settle
--              [6, id, reason, answer, trail, attempts]              bury
--              [7, id, max_replays, expires_at]    replay
--              [8, at, kind, id, guild, user, detail]                note
--            lists: [[type, ...], ...], each named once
-- returns  msgpack of a result for each: accept: [1, sequence, position, ahead], [2, original, sequence, answer] or
--          [3, original]; a number or a boolean for the others; 'lost': the partition is not the router's under this
--          token
-- errors   EMPTIED: the partition is not the one of this epoch; nothing is done
--
-- Idempotent: an accept by the id, the others by what the row says already, a replay by the receipt. The rules are those
-- of router/stores/transitions.py, in the same order and under the same names.

local batch = cmsgpack.unpack(ARGV[1])
local now, router, epoch, token, channel, stride, origin = batch[1], batch[2], batch[3], batch[4], batch[5], batch[6], batch[7]
local nonce, touch, learn, writes, lists = batch[8], batch[9], batch[10], batch[11], batch[12]
local now_text = whole(now)

local meta = call('HMGET', KEYS[1], 'epoch', 'number', 'line', 'router', 'token')
if meta[1] ~= epoch then
  return redis.error_reply('EMPTIED this partition has another epoch')
end
local receipt = base .. 'receipt:' .. router
if nonce ~= '' then
  local kept = call('GET', receipt)
  if kept and string.sub(kept, 1, #nonce) == nonce then
    return string.sub(kept, #nonce + 1)
  end
end
local number = tonumber(meta[2]) or (origin > 0 and origin - stride or 0)
local line = tonumber(meta[3]) or 0
local owner = meta[4] or ''
local owns = token ~= 0 and owner == router and tonumber(meta[5]) == token

-- ---------------------------------------------------------------- what the batch may need, in few calls

local rows, changed, order = {}, {}, {} -- id -> row or false; whether it changed; the changed ones
local holders, taken = {}, {}           -- key -> id or false; whether it changed
local guilds, counts, opposers = {}, {}, {}
local changed_guilds, changed_counts, changed_opposers = {}, {}, {}
local frames = {}
local relieves = false -- whether an owner's write is among them

do
  local ids, keys = {}, {}
  for _, write in ipairs(writes) do
    local kind = write[1]
    if kind == 1 then
      ids[#ids + 1] = write[2]
      if write[8] ~= '' then
        keys[#keys + 1] = write[8]
      end
    elseif kind ~= 8 and owns then
      ids[#ids + 1] = write[2]
      relieves = true
    end
  end
  fetch(base .. 'rows', ids, rows)
  fetch(base .. 'keys', keys, holders)
  local names, queues, seen, known = {}, {}, {}, {}
  for _, write in ipairs(writes) do
    local kind = write[1]
    local row = rows[write[2]]
    if type(row) == 'string' then
      row = cmsgpack.unpack(row)
      rows[write[2]] = row
    end
    local guild, queue
    if row then
      if kind ~= 3 and kind ~= 4 then -- begin and defer leave the guild as it is
        guild = row[GUILD]
      end
      queue = row[QUEUE]
    elseif kind == 1 then
      guild, queue = write[3], write[7]
    end
    if guild and not seen[guild] then
      seen[guild] = true
      names[#names + 1] = guild
    end
    if queue and not known[queue] then
      known[queue] = true
      queues[#queues + 1] = queue
    end
  end
  fetch(base .. 'guilds', names, guilds)
  for _, name in ipairs(names) do
    guilds[name] = guilds[name] and cmsgpack.unpack(guilds[name]) or {0, 0}
  end
  fetch(base .. 'counts', queues, counts)
  for _, name in ipairs(queues) do
    counts[name] = counts[name] and cmsgpack.unpack(counts[name]) or {0, 0, 0, 0, 0}
  end
end

-- Members to add (a score) or to remove (false), written at the end.
local placed, delayed, lanes, ended, dead, deaths = {}, {}, {}, {}, {}, {}
local touched_lanes, lane_texts = {}, {}
local since, type_sets = {}, {}
local former, noted, speaking = {}, {}, {}
local heard, answered = nil, {} -- whether anything arrived, and delayed ones among it; router -> its answers

local function row_of(id)
  local row = rows[id]
  if row == nil then
    row = call('HGET', base .. 'rows', id)
    row = row and cmsgpack.unpack(row)
    rows[id] = row
  end
  return row
end

local function change(id)
  if not changed[id] then
    changed[id] = true
    order[#order + 1] = id
  end
end

local function holder_of(key)
  local id = holders[key]
  if id == nil then
    id = call('HGET', base .. 'keys', key)
    holders[key] = id
  end
  return id
end

local function hold(key, id)
  holders[key] = id
  taken[key] = true
end

-- For a change. A row's guild and queue were asked for above, unless another row led to it.
local function guild_of(name)
  changed_guilds[name] = true
  if not guilds[name] then
    local found = call('HGET', base .. 'guilds', name)
    guilds[name] = found and cmsgpack.unpack(found) or {0, 0}
  end
  return guilds[name]
end

local function counts_of(name)
  changed_counts[name] = true
  if not counts[name] then
    local found = call('HGET', base .. 'counts', name)
    counts[name] = found and cmsgpack.unpack(found) or {0, 0, 0, 0, 0}
  end
  return counts[name]
end

local function opposers_of(kind)
  if opposers[kind] == nil then
    local found = call('HGET', base .. 'opposers', kind)
    opposers[kind] = found and cmsgpack.unpack(found) or false
  end
  return opposers[kind]
end

local function lives(row)
  return row[SETTLED] == 0 or now - row[SETTLED] < row[WINDOW]
end

local function holds(id, row)
  return row[KEY] ~= '' and row[IDEMPOTENCY] == 0 and holder_of(row[KEY]) == id
end

-- ---------------------------------------------------------------- lanes

-- L(guild) L(subject), by row.
local function lane_of(id, row)
  local lane = lane_texts[id]
  if not lane then
    lane = led(row[GUILD]) .. led(row[SUBJECT])
    lane_texts[id] = lane
  end
  return lane
end

local function member_of(id, row, flag)
  return lane_of(id, row) .. led(row[TYPE]) .. flag .. hex(row[ORDINAL]) .. id
end

local function move_in_lane(id, row, flag, there)
  lanes[member_of(id, row, flag)] = there
  touched_lanes[lane_of(id, row)] = true
end

local function write_zset(name, members)
  local adds, removes = {}, {}
  for member, score in pairs(members) do
    if score then
      adds[#adds + 1] = score
      adds[#adds + 1] = member
    else
      removes[#removes + 1] = member
    end
  end
  send('ZREM', base .. name, removes)
  send('ZADD', base .. name, adds)
end

local function write_since()
  for member, by in pairs(since) do
    if by ~= 0 then
      local left = call('HINCRBY', base .. 'since', member, by)
      if left == 0 then
        call('HDEL', base .. 'since', member)
        call('ZREM', base .. 'waiting', member)
      elseif left == by then
        call('ZADD', base .. 'waiting', '0', member)
      end
    end
  end
end

-- Before a lane is read, what this batch did to it must be there.
local function settle_lane(lane)
  if touched_lanes[lane] then
    write_zset('lanes', lanes)
    lanes, touched_lanes = {}, {}
  end
end

local function opposed_in_flight(guild, subject, types, since)
  local lane = led(guild) .. led(subject)
  settle_lane(lane)
  for _, kind in ipairs(types) do
    local start = lane .. led(kind) .. '1'
    local last = call('ZREVRANGEBYLEX', base .. 'lanes', '(' .. start .. '\255', '[' .. start, 'LIMIT', 0, 1)[1]
    if last and tonumber(string.sub(last, #start + 1, #start + 14), 16) > since then
      return true
    end
  end
  return false
end

local FEW = 32 -- members read of a whole lane, most of which hold one

local function lane_ids(id, row, types)
  local lane = lane_of(id, row)
  settle_lane(lane)
  local found = {}
  local members = call('ZRANGEBYLEX', base .. 'lanes', '[' .. lane, '(' .. lane .. '\255', 'LIMIT', 0, FEW)
  if #members < FEW then
    local own = member_of(id, row, '1')
    for _, member in ipairs(members) do
      if member ~= own then
        local size = string.match(member, '^%d+', #lane + 1)
        local start = #lane + #size + 2
        local stop = start + tonumber(size)
        if types[string.sub(member, start, stop - 1)] then
          found[#found + 1] = string.sub(member, stop + 15)
        end
      end
    end
    return found
  end
  for kind in pairs(types) do
    local start = lane .. led(kind)
    local upto = start .. '1' .. hex(row[ORDINAL])
    for _, member in ipairs(call('ZRANGEBYLEX', base .. 'lanes', '[' .. start, '(' .. upto)) do
      found[#found + 1] = string.sub(member, #start + 16)
    end
  end
  return found
end

-- What an applied one of ``kind`` ends, when it names ``list``; false: nothing.
local function types_of(kind, list)
  local key = list .. kind
  if type_sets[key] == nil then
    local types = {}
    for _, other in ipairs(lists[list] or {}) do
      types[other] = true
    end
    for _, other in ipairs(opposers_of(kind) or {}) do
      types[other] = true
    end
    type_sets[key] = next(types) and types or false
  end
  return type_sets[key]
end

-- ---------------------------------------------------------------- effects

local function release(id, row)
  if row[KEY] ~= '' and holder_of(row[KEY]) == id then
    hold(row[KEY], false)
  end
  if row[STATUS] ~= '' then
    move_in_lane(id, row, '0', false)
  end
end

local function over(id, row)
  if row[SETTLED] ~= 0 then
    release(id, row)
  end
end

local function watch(id, row)
  local watchers = row[WATCHERS]
  if watchers == '' then
    row[WATCHERS] = router
  elseif not string.find(' ' .. watchers .. ' ', ' ' .. router .. ' ', 1, true) then
    row[WATCHERS] = watchers .. ' ' .. router
  else
    return
  end
  change(id)
end

local function put(id, row)
  placed[id] = whole(row[POSITION])
  local guild = guild_of(row[GUILD])
  guild[2] = guild[2] + 1
end

local function pend(row, by)
  local count = counts_of(row[QUEUE])
  count[1] = count[1] + by
  local member = led(row[QUEUE]) .. hex(row[ACCEPTED])
  since[member] = (since[member] or 0) + by
end

local function arrive(id, row)
  if row[POSITION] ~= 0 then
    put(id, row)
  else
    delayed[id] = whole(row[UNTIL])
  end
  move_in_lane(id, row, '1', '0')
  pend(row, 1)
  change(id)
end

local function admit(write)
  local guild = guild_of(write[3])
  number = number + stride
  guild[1] = guild[1] + 1
  local later = write[11] > now
  local position = later and 0 or number
  local row = {
    write[3], write[4], write[5], write[6], write[7], write[8], write[9], write[10], write[13], number,
    guild[1], position, guild[2], now, write[12], position, later and write[11] or 0, 0, '',
    '', 0, '', '', 0, '', 0, 0, 0, 0,
    router,
  }
  local id = write[2]
  if row[KEY] ~= '' then
    local holding = holder_of(row[KEY])
    local rival = holding and row_of(holding)
    if rival then
      release(holding, rival)
    end
    hold(row[KEY], id)
  end
  rows[id] = row
  frames[#frames + 1] = id
  frames[#frames + 1] = write[15]
  arrive(id, row)
  heard = heard or later
  return row
end

local function place(id, row)
  delayed[id] = false
  number = number + stride
  row[POSITION] = number
  row[UNTIL] = 0
  put(id, row)
  change(id)
end

local function change_row(id, row, attempts, protocol, until_, trail)
  if protocol ~= '' then
    if row[PROTOCOL] == '' then
      local count = counts_of(row[QUEUE])
      count[2] = count[2] + 1
      pend(row, -1)
    end
  elseif row[PROTOCOL] ~= '' then
    local count = counts_of(row[QUEUE])
    count[2] = count[2] - 1
    pend(row, 1)
  end
  row[ATTEMPTS], row[PROTOCOL], row[UNTIL], row[TRAIL] = attempts, protocol, until_, trail
  change(id)
end

local function finish(id, row, status, answer)
  if row[POSITION] ~= 0 then
    placed[id] = false
    local guild = guild_of(row[GUILD])
    guild[2] = guild[2] - 1
  else
    delayed[id] = false
  end
  local count = counts_of(row[QUEUE])
  if row[PROTOCOL] ~= '' then
    count[2] = count[2] - 1
  else
    pend(row, -1)
  end
  local which = WELL[status] and 3 or 4
  count[which] = count[which] + 1
  line = line + 1
  row[STATUS], row[ANSWER], row[SETTLED], row[UNTIL], row[ENDING] = status, answer, now, 0, line
  ended[hex(line) .. id] = now_text
  if row[DEAD] == 1 then
    count[5] = count[5] + 1
    dead[id] = whole(row[POSITION])
    deaths[id] = whole(line)
  end
  move_in_lane(id, row, '1', false)
  if holds(id, row) then
    move_in_lane(id, row, '0', '0')
  end
  if row[OPPOSED] == 1 then
    release(id, row)
  end
  for watcher in string.gmatch(row[WATCHERS], '%S+') do
    if watcher ~= router then
      answered[watcher] = answered[watcher] or {}
      table.insert(answered[watcher], {2, id, answer})
    end
  end
  row[WATCHERS] = ''
  change(id)
end

local function revive(id, row, expires_at, holding)
  dead[id] = false
  deaths[id] = false
  if row[ARCHIVED] == 0 then
    former[#former + 1] = hex(row[ENDING])
    former[#former + 1] = cmsgpack.pack({row[ANSWER], row[TRAIL], row[SETTLED]})
    speaking[led(id) .. hex(row[ENDING])] = '0'
  end
  local count = counts_of(row[QUEUE])
  count[5] = count[5] - 1
  move_in_lane(id, row, '0', false)
  number = number + stride
  row[POSITION], row[ORDINAL] = number, number
  row[EXPIRES] = expires_at
  row[REPLAYS] = row[REPLAYS] + 1
  row[DEAD], row[OPPOSED], row[ARCHIVED] = 0, 0, 0
  row[STATUS], row[REASON], row[PROTOCOL], row[ANSWER] = '', '', '', ''
  row[SETTLED], row[ATTEMPTS], row[UNTIL], row[ENDING] = 0, 0, 0, 0
  if holding then
    local holder = holder_of(row[KEY])
    local rival = holder and holder ~= id and row_of(holder)
    if rival then
      release(holder, rival)
    end
    hold(row[KEY], id)
  end
  arrive(id, row)
end

local function end_windows(id, row, ids)
  for _, other_id in ipairs(ids) do
    local other = other_id ~= id and row_of(other_id)
    if other and other[OPPOSED] == 0 then
      if other[STATUS] ~= '' or (other[ORDINAL] < row[ORDINAL] and holds(other_id, other)) then
        other[OPPOSED] = 1
        change(other_id)
        over(other_id, other)
      end
    end
  end
end

-- ---------------------------------------------------------------- the writes

local function accept(write)
  local id = write[2]
  local row = row_of(id)
  if row then
    if row[GUILD] ~= write[3] or row[TYPE] ~= write[6] or row[PRINT] ~= write[9] then
      return {3, id}
    end
    if row[STATUS] == '' then
      watch(id, row)
    end
    return {1, row[SEQUENCE], row[FIRST], row[AHEAD]}
  end
  local key = write[8]
  local known_id = key ~= '' and holder_of(key)
  local known = known_id and row_of(known_id)
  if known and lives(known) then
    if write[10] == 1 and write[9] ~= known[PRINT] then
      return {3, known_id}
    end
    local is_over = known[OPPOSED] == 1
    if not is_over and known[IDEMPOTENCY] == 0 and write[14] > 0 then
      is_over = opposed_in_flight(write[3], write[4], lists[write[14]], known[ORDINAL])
    end
    if known[IDEMPOTENCY] == 1 or not is_over then
      if known[STATUS] == '' then
        watch(known_id, known)
      end
      return {2, known_id, known[SEQUENCE], known[ANSWER]}
    end
  end
  row = admit(write)
  return {1, row[SEQUENCE], row[POSITION], row[AHEAD]}
end

local function enter(write)
  local row = row_of(write[2])
  if not row or row[STATUS] ~= '' then
    return 0
  end
  if row[POSITION] == 0 then
    place(write[2], row)
  end
  return row[POSITION]
end

local function begin(write)
  local row = row_of(write[2])
  if not row or row[STATUS] ~= '' then
    return false
  end
  change_row(write[2], row, write[3], write[4], row[POSITION] ~= 0 and 0 or row[UNTIL], row[TRAIL])
  return true
end

local function defer(write)
  local row = row_of(write[2])
  if not row or row[STATUS] ~= '' then
    return false
  end
  change_row(write[2], row, write[4], '', row[POSITION] ~= 0 and write[3] or row[UNTIL], write[5])
  return true
end

local function settle(write)
  local id, status, answer, trail, applied = write[2], write[3], write[4], write[5], write[6] == 1
  local row = row_of(id)
  if not row then
    return false
  end
  if row[STATUS] ~= '' then
    return row[STATUS] == status and row[ANSWER] == answer and row[TRAIL] == trail and row[DEAD] == 0
  end
  row[TRAIL] = trail
  local types, others = applied and types_of(row[TYPE], write[7]), {}
  if types then
    others = lane_ids(id, row, types) -- read before this one moves there itself
  end
  if applied then
    row[OPPOSED] = 0
  end
  finish(id, row, status, answer)
  if NOTHING[status] and row[KEY] ~= '' and row[IDEMPOTENCY] == 0 and row[OPPOSED] == 0 then
    row[OPPOSED] = 1
    over(id, row)
  end
  end_windows(id, row, others)
  return true
end

local function bury(write)
  local id, reason, answer, trail = write[2], write[3], write[4], write[5]
  local row = row_of(id)
  if not row then
    return false
  end
  if row[STATUS] ~= '' then
    return row[DEAD] == 1 and row[REASON] == reason and row[ANSWER] == answer and row[TRAIL] == trail
  end
  if row[POSITION] == 0 then
    place(id, row)
  end
  row[ATTEMPTS], row[TRAIL], row[REASON], row[DEAD] = write[6], trail, reason, 1
  finish(id, row, 'dead', answer)
  return true
end

local function replay(write)
  local id = write[2]
  local row = row_of(id)
  if not row or row[DEAD] == 0 or row[REPLAYS] >= write[3] then
    return false
  end
  local holding = false
  if row[KEY] ~= '' then
    local holder = holder_of(row[KEY])
    local known = holder and row_of(holder)
    holding = not known or holder == id or known[OPPOSED] == 1 or not lives(known)
  end
  revive(id, row, write[4], holding)
  return row[POSITION]
end

local function note(write)
  local text = cmsgpack.pack({write[2], write[3], write[4], write[5], write[6], write[7]})
  local digest = redis.sha1hex(text)
  if noted[digest] == nil and call('HEXISTS', base .. 'texts', digest) == 0 then
    line = line + 1
    noted[digest] = {text, write[2], hex(line), write[4]}
  end
  return true
end

if relieves then
  -- Redis refuses memory only to the first write of a script. What an owner ends is what gives memory back, so its
  -- batches begin with a write that asks for none.
  call('DEL', base .. 'scratch')
end
local kinds = {accept, enter, begin, defer, settle, bury, replay, note}
local results = {}
for _, pair in ipairs(learn) do
  local kind, other = pair[1], pair[2]
  local known = opposers_of(other) or {}
  local there = false
  for _, each in ipairs(known) do
    there = there or each == kind
  end
  if not there then
    known[#known + 1] = kind
    opposers[other] = known
    changed_opposers[other] = true
  end
end
for at, write in ipairs(writes) do
  local kind = write[1]
  if kind == 1 or kind == 8 or owns then
    results[at] = kinds[kind](write)
  else
    results[at] = 'lost'
  end
end

-- ---------------------------------------------------------------- what came of it

for kind in pairs(changed_opposers) do
  call('HSET', base .. 'opposers', kind, cmsgpack.pack(opposers[kind]))
end
if #order > 0 then
  local packed, names = {}, {}
  for _, id in ipairs(order) do
    packed[#packed + 1] = id
    packed[#packed + 1] = cmsgpack.pack(rows[id])
  end
  send('HSET', base .. 'rows', packed)
  send('HSET', base .. 'frames', frames)
  local sets, gone = {}, {}
  for key in pairs(taken) do
    if holders[key] then
      sets[#sets + 1] = key
      sets[#sets + 1] = holders[key]
    else
      gone[#gone + 1] = key
    end
  end
  send('HDEL', base .. 'keys', gone)
  send('HSET', base .. 'keys', sets)
  write_zset('placed', placed)
  write_zset('delayed', delayed)
  write_zset('lanes', lanes)
  write_since()
  write_zset('ended', ended)
  write_zset('dead', dead)
  write_zset('deaths', deaths)
  send('HSET', base .. 'former', former)
  write_zset('noteof', speaking)
  for name in pairs(changed_guilds) do
    names[#names + 1] = name
    names[#names + 1] = cmsgpack.pack(guilds[name])
  end
  send('HSET', base .. 'guilds', names)
  local queues = {}
  for name in pairs(changed_counts) do
    queues[#queues + 1] = name
    queues[#queues + 1] = cmsgpack.pack(counts[name])
  end
  send('HSET', base .. 'counts', queues)
end
for digest, each in pairs(noted) do
  call('HSET', base .. 'texts', digest, each[1])
  call('ZADD', base .. 'notes', whole(each[2]), each[3] .. digest)
  if each[4] ~= '' then
    call('ZADD', base .. 'noteof', 0, led(each[4]) .. each[3] .. digest)
  end
end
if touch == 1 or #order > 0 or next(noted) then
  call('HSET', KEYS[1], 'number', whole(number), 'line', whole(line))
end
local packed = cmsgpack.pack(results)
if nonce ~= '' then
  call('SET', receipt, nonce .. packed, 'PX', 60000)
end

-- News are hints: a server that lets nobody publish loses nothing but time.
if heard ~= nil and owner ~= '' and owner ~= router then
  redis.pcall('PUBLISH', channel .. owner, cmsgpack.pack({router, {1, origin, heard}}))
end
for watcher, answers in pairs(answered) do
  for at = 1, #answers, 100 do
    redis.pcall('PUBLISH', channel .. watcher, cmsgpack.pack({router, unpack(answers, at, math.min(at + 99, #answers))}))
  end
end
return packed
