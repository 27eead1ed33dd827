import MIL

/// The file of large constants. A header of 64 bytes (count, version 2) precedes the blobs; each is a record of 64
/// bytes (mark, type, byte count, offset of the data) and data at a multiple of 64.
struct WeightFile {
    private let file: MappedFile

    static let version: UInt32 = 2
    static let mark: UInt32 = 0xDEAD_BEEF
    static let alignment = 64

    /// The codes of element types; `NarrowType` has those of fewer than eight bits.
    private static let codes: [(dtype: DataType, code: UInt32)] = [
        (.float16, 1), (.float32, 2), (.uint8, 3), (.int8, 4), (.int16, 6), (.uint16, 7), (.int32, 14), (.uint32, 15),
    ]

    static func code(of dtype: DataType) -> UInt32? { codes.first { $0.dtype == dtype }?.code }

    private static func name(ofCode code: UInt32) -> String {
        if let match = codes.first(where: { $0.code == code }) { return match.dtype.name }
        if let narrow = NarrowType.all.first(where: { $0.weightCode == code }) { return narrow.name }
        return code == 5 ? "bf16" : "unknown (code \(code))"
    }

    init(_ path: String) throws {
        file = try MappedFile(path)
        guard file.bytes.count >= Self.alignment, word(4) == Self.version else {
            throw Failure(
                .malformed, "The weight file '\(path)' must begin with a header of 64 bytes and version 2.", file: path)
        }
    }

    /// Little-endian numbers; callers have checked the bounds.
    private func word(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: file.bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    private func long(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: file.bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// The tensor whose record lies at an offset, over the mapped bytes, or unpacked from them where its elements have
    /// fewer than eight bits. Its record must agree with the declared type.
    func tensor(_ type: TensorType, _ narrow: NarrowType? = nil, at offset: UInt64) throws -> Tensor {
        func malformed(_ what: String) -> Failure {
            Failure(
                .malformed, "The weight file '\(file.path)' has \(what) (record at offset \(offset)).", file: file.path)
        }
        let count = UInt64(file.bytes.count)
        guard offset >= UInt64(Self.alignment), offset % UInt64(Self.alignment) == 0 else {
            throw malformed("no record there: offsets are multiples of 64, after the header")
        }
        guard offset <= count - UInt64(Self.alignment) else {
            throw malformed(
                "only \(count) bytes, too few for a record there; it is cut off or belongs to another model")
        }
        let record = Int(offset)
        guard word(record) == Self.mark else { throw malformed("no record there: its mark is missing") }
        let (code, size, data) = (word(record + 4), long(record + 8), long(record + 16))
        guard let wanted = narrow?.weightCode ?? Self.code(of: type.dtype) else {
            throw Failure(.unsupported, "Weight files cannot hold \(type.dtype.name) values.")
        }
        guard code == wanted else {
            throw malformed(
                "\(Self.name(ofCode: code)) values where the model declares \(narrow?.name ?? type.dtype.name)")
        }
        let whole = try type.checkedByteCount()
        let expected = narrow?.byteCount(type.count) ?? whole
        guard size == UInt64(expected) else {
            throw malformed("\(size) bytes where \(type) takes \(expected)")
        }
        guard data % UInt64(Self.alignment) == 0, data >= UInt64(Self.alignment) else {
            throw malformed("data at \(data), which is not a multiple of 64 after the header")
        }
        guard data <= count, size <= count - data else {
            throw malformed("data from \(data) on that does not fit its \(count) bytes; it is cut off")
        }
        guard let narrow else { return Tensor(type, storage: file.storage, byteOffset: Int(data)) }
        return try narrow.unpack(UnsafeRawBufferPointer(rebasing: file.bytes[Int(data)...].prefix(expected)), as: type)
    }
}

/// Writes the file of large constants, one after the other.
struct WeightWriter {
    private let file: OutputFile
    private var count: UInt32 = 0
    private var digest = Digest()

    init(_ path: String) throws {
        file = try OutputFile(path)
        try file.write(Self.words([0, WeightFile.version], fill: 56))
    }

    /// Writes one tensor and returns the offset of its record.
    mutating func write(_ tensor: Tensor, as narrow: NarrowType? = nil) throws -> Int {
        guard let code = narrow?.weightCode ?? WeightFile.code(of: tensor.dtype) else {
            throw Failure(.unsupported, "Weight files cannot hold \(tensor.dtype.name) values.")
        }
        let record = file.count
        let packed = narrow?.pack(tensor)
        let (size, data) = (UInt64(packed?.count ?? tensor.bytes.count), UInt64(record + WeightFile.alignment))
        let filling = narrow.map { UInt32(truncatingIfNeeded: Int(size) * 8 - tensor.count * $0.bits) } ?? 0
        let fields = [WeightFile.mark, code, UInt32(truncatingIfNeeded: size), UInt32(size >> 32)]
        try file.write(Self.words(fields + [UInt32(truncatingIfNeeded: data), UInt32(data >> 32), filling], fill: 36))
        if let packed {
            digest.add(packed)
            try file.write(packed)
        } else {
            digest.add(tensor.bytes)
            try file.write(tensor.bytes)
        }
        count += 1
        let rest = file.count % WeightFile.alignment
        if rest > 0 { try file.write(Self.words([], fill: WeightFile.alignment - rest)) }
        return record
    }

    /// Fills in the count and returns a digest of all that was written.
    func finish() throws -> Digest {
        try file.overwriteStart(Self.words([count], fill: 0))
        return digest
    }

    private static func words(_ words: [UInt32], fill: Int) -> [UInt8] {
        words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
            + [UInt8](repeating: 0, count: fill)
    }
}
