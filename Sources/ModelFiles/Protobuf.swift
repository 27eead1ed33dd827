import MIL

// Protocol buffers, wire format only: a cursor over borrowed bytes and a writer. The messages are known to their readers.

/// How a field lies on the wire.
enum WireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
}

/// Reads one message, field by field, in one pass. It borrows the bytes: the caller keeps them alive.
struct ProtobufReader {
    private let base: UnsafeRawBufferPointer
    private var position = 0
    private(set) var wire = WireType.varint

    init(_ bytes: UnsafeRawBufferPointer) { base = bytes }

    var isAtEnd: Bool { position == base.count }

    private static func malformed(_ what: String) -> Failure { Failure(.malformed, "The model description \(what).") }

    /// The number of the next field, or nil at the end of the message.
    mutating func next() throws -> Int? {
        guard position < base.count else { return nil }
        let key = try rawVarint()
        guard key >> 3 > 0, key >> 3 < 1 << 29, let wire = WireType(rawValue: UInt8(key & 7)) else {
            throw Self.malformed("holds \(key), which is no field of a protocol buffer")
        }
        self.wire = wire
        return Int(key >> 3)
    }

    @inline(__always)
    private mutating func rawVarint() throws -> UInt64 {
        if position < base.count, base[position] < 0x80 {
            position += 1
            return UInt64(base[position - 1])
        }
        return try longVarint()
    }

    private mutating func longVarint() throws -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < base.count, shift < 64 {
            let byte = base[position]
            position += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw Self.malformed(shift < 64 ? "ends within a number" : "holds a number of more than ten bytes")
    }

    private func expect(_ wanted: WireType) throws {
        guard wire == wanted else { throw Self.malformed("has a field of another kind than its place allows") }
    }

    mutating func uint64() throws -> UInt64 {
        try expect(.varint)
        return try rawVarint()
    }

    mutating func int64() throws -> Int64 { Int64(bitPattern: try uint64()) }
    mutating func int() throws -> Int { Int(truncatingIfNeeded: try int64()) }
    mutating func bool() throws -> Bool { try uint64() != 0 }

    mutating func float() throws -> Float {
        try expect(.fixed32)
        return Float(bitPattern: UInt32(littleEndian: try raw(UInt32.self)))
    }

    mutating func double() throws -> Double {
        try expect(.fixed64)
        return Double(bitPattern: UInt64(littleEndian: try raw(UInt64.self)))
    }

    private mutating func raw<T: FixedWidthInteger>(_: T.Type) throws -> T {
        guard base.count - position >= MemoryLayout<T>.size else { throw Self.malformed("ends within a number") }
        defer { position += MemoryLayout<T>.size }
        return base.loadUnaligned(fromByteOffset: position, as: T.self)
    }

    /// The bytes of a length-delimited field, still borrowed.
    mutating func bytes() throws -> UnsafeRawBufferPointer {
        try expect(.bytes)
        let length = try rawVarint()
        guard length <= UInt64(base.count - position) else { throw Self.malformed("ends within a field") }
        let start = position
        position += Int(length)
        return UnsafeRawBufferPointer(rebasing: base[start..<position])
    }

    /// Whether two messages are the same bytes.
    func isSame(as other: ProtobufReader) -> Bool {
        base.count == other.base.count && base.elementsEqual(other.base)
    }

    /// The size of the message, for guesses of how much it holds.
    var byteCount: Int { base.count }

    mutating func message() throws -> ProtobufReader { ProtobufReader(try bytes()) }

    mutating func string() throws -> String {
        let content = try bytes()
        // Nearly all names are ASCII, which decoding takes several times faster than validation.
        if content.allSatisfy({ $0 < 0x80 }) { return String(decoding: content, as: UTF8.self) }
        guard let text = String(validating: content, as: UTF8.self) else {
            throw Self.malformed("holds a text that is not UTF-8")
        }
        return text
    }

    mutating func skip() throws {
        switch wire {
        case .varint: _ = try rawVarint()
        case .fixed32: _ = try raw(UInt32.self)
        case .fixed64: _ = try raw(UInt64.self)
        case .bytes: _ = try bytes()
        }
    }

    /// Numbers of a repeated field, packed or one by one, given to `body`.
    mutating func varints(_ body: (UInt64) throws -> Void) throws {
        guard wire == .bytes else { return try body(try uint64()) }
        var packed = try message()
        while !packed.isAtEnd { try body(try packed.rawVarint()) }
    }

    /// Fixed-size elements of a repeated field, packed or one by one, as raw bytes.
    mutating func fixed(size: Int) throws -> UnsafeRawBufferPointer {
        if wire == .bytes {
            let packed = try bytes()
            guard packed.count % size == 0 else { throw Self.malformed("holds a row of numbers that ends within one") }
            return packed
        }
        let start = position
        try expect(size == 4 ? .fixed32 : .fixed64)
        try skip()
        return UnsafeRawBufferPointer(rebasing: base[start..<position])
    }

    /// Gives every field of one number to `body`; this reader itself does not move.
    func each(_ number: Int, _ body: (inout ProtobufReader) throws -> Void) throws {
        var reader = self
        while let field = try reader.next() {
            if field == number { try body(&reader) } else { try reader.skip() }
        }
    }

    /// The key and value messages of a map entry; a key that is left out is empty.
    mutating func entry() throws -> (key: String, value: ProtobufReader) {
        var entry = try message()
        var key = ""
        var value = ProtobufReader(UnsafeRawBufferPointer(start: nil, count: 0))
        while let field = try entry.next() {
            switch field {
            case 1: key = try entry.string()
            case 2: value = try entry.message()
            default: try entry.skip()
            }
        }
        return (key, value)
    }
}

/// Writes one message. Nested messages are written in place; their length is put in front when they are done.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(value & 0x7f) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    private mutating func key(_ field: Int, _ wire: WireType) { varint(UInt64(field) << 3 | UInt64(wire.rawValue)) }

    mutating func int(_ field: Int, _ value: Int) {
        key(field, .varint)
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func float(_ field: Int, _ value: Float) {
        key(field, .fixed32)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func double(_ field: Int, _ value: Double) {
        key(field, .fixed64)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func raw(_ field: Int, _ content: some Collection<UInt8>) {
        key(field, .bytes)
        varint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    mutating func string(_ field: Int, _ text: String) { raw(field, text.utf8) }

    mutating func packed(_ field: Int, _ values: some Sequence<Int>) {
        message(field) { writer in
            for value in values { writer.varint(UInt64(bitPattern: Int64(value))) }
        }
    }

    mutating func message(_ field: Int, _ body: (inout ProtobufWriter) throws -> Void) rethrows {
        key(field, .bytes)
        let start = bytes.count
        try body(&self)
        var length = ProtobufWriter()
        length.varint(UInt64(bytes.count - start))
        bytes.insert(contentsOf: length.bytes, at: start)
    }

    /// A map entry with a message as its value.
    mutating func entry(_ field: Int, _ name: String, _ body: (inout ProtobufWriter) throws -> Void) rethrows {
        try message(field) { entry in
            entry.string(1, name)
            try entry.message(2, body)
        }
    }
}
