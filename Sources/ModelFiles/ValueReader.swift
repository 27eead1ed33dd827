import MIL

/// Reads constants: written out in the description, or large ones from weight files. One reader serves a whole model.
struct ValueReader {
    /// Finds a weight file by the name values give it.
    private let blobPath: (String) throws -> String
    private var weights: [String: WeightFile] = [:]
    /// The weight file used last, by the bytes of its name: nearly always it is the next one too.
    private var latest: (name: [UInt8], file: WeightFile)?
    private var pool = ConstantPool()

    init(blobPath: @escaping (String) throws -> String) { self.blobPath = blobPath }

    /// A value: its type, its elements (it is a tensor or a list of scalars), and its type as it lies in the file.
    mutating func value(_ reader: ProtobufReader) throws -> (type: ValueType, constant: Tensor, wire: ProtobufReader) {
        var reader = reader
        var wire: ProtobufReader?
        var (immediate, blob): (ProtobufReader?, ProtobufReader?)
        while let field = try reader.next() {
            switch field {
            case 2: wire = try reader.message()
            case 3: immediate = try reader.message()
            case 5: blob = try reader.message()
            default: try reader.skip()
            }
        }
        guard let wire else { throw Failure(.malformed, "A constant has no type.") }
        let type = try ValueType(wire)
        switch (type, immediate, blob) {
        case (.tensor(let tensor), nil, let blob?):
            try Self.checkFixed(tensor)
            return (type, try self.blob(blob, tensor, try Self.narrow(tensor, wire)), wire)
        case (.tensor(let tensor), let immediate?, nil):
            try Self.checkFixed(tensor)
            var content: ProtobufReader?
            try immediate.each(1) { content = try $0.message() }
            guard let content else { throw Failure(.malformed, "A constant of type \(tensor) holds no tensor.") }
            if let narrow = try Self.narrow(tensor, wire) {
                return (type, try Self.unpack(content, tensor, narrow), wire)
            }
            return (type, try pool.tensor(tensor, content), wire)
        case (.list(.tensor(let element), let length), let immediate?, nil):
            let constant = try list(immediate, element)
            guard length == nil || length == constant.count else {
                throw Failure(.malformed, "A list of \(length ?? 0) elements holds \(constant.count).")
            }
            return (.list(.tensor(element), length: constant.count), constant, wire)
        case (_, nil, nil), (_, _?, _?):
            throw Failure(.malformed, "A constant must be written out or lie in a file, one of them.")
        default: throw Failure(.unsupported, "A constant of type \(type) is not one this version of Martlet runs.")
        }
    }

    private static func checkFixed(_ type: TensorType) throws {
        guard type.isFixed else {
            throw Failure(.malformed, "A constant has the type \(type); its shape must be known.")
        }
    }

    /// The type of fewer than eight bits that the elements have in the file; nil where they take whole bytes.
    private static func narrow(_ type: TensorType, _ wire: ProtobufReader) throws -> NarrowType? {
        [.int8, .uint8, .bool].contains(type.dtype) ? try NarrowType(wire) : nil
    }

    /// Elements of fewer than eight bits that are written out: a list of bytes.
    private static func unpack(_ reader: ProtobufReader, _ type: TensorType, _ narrow: NarrowType) throws -> Tensor {
        var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        try reader.each(7) { field in try field.message().each(1) { bytes = try $0.bytes() } }
        _ = try type.checkedByteCount()
        return try narrow.unpack(bytes, as: type)
    }

    private mutating func blob(_ reader: ProtobufReader, _ type: TensorType, _ narrow: NarrowType?) throws -> Tensor {
        var reader = reader
        var name = UnsafeRawBufferPointer(start: nil, count: 0)
        var offset: UInt64 = 0
        while let field = try reader.next() {
            switch field {
            case 1: name = try reader.bytes()
            case 2: offset = try reader.uint64()
            default: try reader.skip()
            }
        }
        if let latest, latest.name.elementsEqual(name) { return try latest.file.tensor(type, narrow, at: offset) }
        let text = String(decoding: name, as: UTF8.self)
        let file = try weights[text] ?? WeightFile(blobPath(text))
        weights[text] = file
        latest = (Array(name), file)
        return try file.tensor(type, narrow, at: offset)
    }

    /// A list of scalars becomes one tensor of rank 1.
    private mutating func list(_ reader: ProtobufReader, _ element: TensorType) throws -> Tensor {
        guard element.shape.isEmpty else {
            throw Failure(.unsupported, "A constant list of \(element) is not one this version of Martlet runs.")
        }
        var strings: [String] = []
        var integers: [Int64] = []
        try reader.each(3) { field in
            try field.message().each(1) { item in
                let (type, value) = try scalar(item.message())
                guard type == element else { throw Failure(.malformed, "A list of \(element) holds a \(type).") }
                if let string = value.strings.first {
                    strings.append(string)
                } else if let integer = value.int(at: 0) {
                    integers.append(Int64(integer))
                } else {
                    throw Failure(
                        .unsupported, "A constant list of \(element) is not one this version of Martlet runs.")
                }
            }
        }
        if element.dtype == .string { return Tensor(strings: strings, shape: [strings.count]) }
        return Tensor(integers)
    }

    /// An element of a list. Only scalars are wanted, so nothing nests.
    private mutating func scalar(_ reader: ProtobufReader) throws -> (TensorType, Tensor) {
        var type: ValueType?
        try reader.each(2) { type = try ValueType($0.message()) }
        guard case .tensor(let tensor)? = type, tensor.shape.isEmpty else {
            throw Failure(.unsupported, "A list holds something else than numbers and texts.")
        }
        return (tensor, try value(reader).constant)
    }
}

/// Memory for small constants, many to one block: a model has thousands of them.
private struct ConstantPool {
    private var block = Storage(byteCount: 0)
    private var used = 0
    private static let blockSize = 1 << 16
    private static let small = 1 << 10

    private mutating func place(_ type: TensorType) throws -> Tensor {
        let size = try type.checkedByteCount()
        guard size <= Self.small else { return try Tensor(uninitialized: type) }
        if used + size > block.byteCount { (block, used) = (Storage(byteCount: Self.blockSize), 0) }
        defer { used += (size + 15) & ~15 }
        return Tensor(type, storage: block, byteOffset: used)
    }

    /// Reads the elements of a tensor; their number must be what the type says.
    mutating func tensor(_ type: TensorType, _ reader: ProtobufReader) throws -> Tensor {
        var reader = reader
        guard type.dtype != .string else { return try strings(type, reader) }
        var filler: Filler?
        while let field = try reader.next() {
            switch field {
            case 1, 2, 3, 5, 6, 7:
                if filler == nil {
                    // What the file does not hold is not allocated: an element takes at least a byte of it.
                    let content = try reader.bytes()
                    guard type.count <= content.count else { throw Filler.wrongCount(type) }
                    filler = Filler(try place(type))
                    try filler?.add(ProtobufReader(content), field)
                } else {
                    try filler?.add(reader.message(), field)
                }
            default: try reader.skip()
            }
        }
        if let filler { return try filler.finish() }
        guard type.count == 0 else { throw Filler.wrongCount(type) }
        return try place(type)
    }

    private func strings(_ type: TensorType, _ reader: ProtobufReader) throws -> Tensor {
        var strings: [String] = []
        try reader.each(4) { field in try field.message().each(1) { strings.append(try $0.string()) } }
        guard strings.count == type.count else { throw Filler.wrongCount(type) }
        return Tensor(strings: strings, shape: type.shape)
    }
}

/// Fills a tensor with elements as they come from the wire.
private struct Filler {
    private let tensor: Tensor
    private let end: Int
    private var filled = 0

    init(_ tensor: Tensor) {
        self.tensor = tensor
        end = tensor.type.byteCount
    }

    static func wrongCount(_ type: TensorType) -> Failure {
        Failure(.malformed, "A constant of type \(type) does not hold \(type.count) elements.")
    }

    func finish() throws -> Tensor {
        guard filled == end else { throw Self.wrongCount(tensor.type) }
        return tensor
    }

    /// Adds one of the messages of floats, ints, bools, long ints, doubles or bytes.
    mutating func add(_ reader: ProtobufReader, _ kind: Int) throws {
        var reader = reader
        while let field = try reader.next() {
            guard field == 1 else {
                try reader.skip()
                continue
            }
            switch (kind, tensor.dtype) {
            case (1, .float32): try copy(reader.fixed(size: 4))
            case (6, .float64): try copy(reader.fixed(size: 8))
            case (7, _): try copy(reader.bytes())
            case (1, .float16), (1, .float64):
                let bytes = try reader.fixed(size: 4)
                for offset in stride(from: 0, to: bytes.count, by: 4) {
                    try put(Double(bytes.loadUnaligned(fromByteOffset: offset, as: Float.self)))
                }
            case (6, .float16), (6, .float32):
                let bytes = try reader.fixed(size: 8)
                for offset in stride(from: 0, to: bytes.count, by: 8) {
                    try put(bytes.loadUnaligned(fromByteOffset: offset, as: Double.self))
                }
            case (2, _), (3, _), (5, _): try reader.varints { try put(Int64(bitPattern: $0)) }
            default:
                throw Failure(.malformed, "A constant of type \(tensor.type) is written as another kind of number.")
            }
        }
    }

    private mutating func copy(_ bytes: UnsafeRawBufferPointer) throws {
        guard bytes.count <= end - filled else { throw Self.wrongCount(tensor.type) }
        if let base = bytes.baseAddress { (tensor.pointer + filled).copyMemory(from: base, byteCount: bytes.count) }
        filled += bytes.count
    }

    private mutating func put(_ value: Double) throws {
        switch tensor.dtype {
        case .float16: try store(half(float: Float(value)))
        case .float32: try store(Float(value))
        default: try store(value)
        }
    }

    private mutating func put(_ value: Int64) throws {
        func exactly<T: FixedWidthInteger>(_: T.Type) throws -> T {
            guard let exact = T(exactly: value) else {
                throw Failure(.malformed, "The number \(value) is outside the element type \(tensor.dtype.name).")
            }
            return exact
        }
        switch tensor.dtype {
        case .bool: try store(value != 0 ? 1 as UInt8 : 0)
        case .int8: try store(exactly(Int8.self))
        case .uint8: try store(exactly(UInt8.self))
        case .int16: try store(exactly(Int16.self))
        case .uint16: try store(exactly(UInt16.self))
        case .int32: try store(exactly(Int32.self))
        case .uint32: try store(exactly(UInt32.self))
        case .int64, .uint64: try store(value)
        default: throw Failure(.malformed, "A constant of type \(tensor.type) is written as integers.")
        }
    }

    private mutating func store<T: BitwiseCopyable>(_ value: T) throws {
        guard MemoryLayout<T>.size <= end - filled else { throw Self.wrongCount(tensor.type) }
        (tensor.pointer + filled).storeBytes(of: value, as: T.self)
        filled += MemoryLayout<T>.size
    }
}
