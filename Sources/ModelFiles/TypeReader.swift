import MIL

/// The element types of MIL on the wire.
enum WireDataType {
    private static let codes: [(Int, DataType)] = [
        (1, .bool), (2, .string), (10, .float16), (11, .float32), (12, .float64),
        (21, .int8), (22, .int16), (23, .int32), (24, .int64),
        (31, .uint8), (32, .uint16), (33, .uint32), (34, .uint64),
    ]
    private static let unsupported: [Int: String] = [13: "bf16", 40: "fp8e4m3fn", 41: "fp8e5m2"]

    static func dtype(_ code: Int) throws -> DataType {
        if let match = codes.first(where: { $0.0 == code }) { return match.1 }
        if let narrow = NarrowType.of(code: code) { return narrow.dtype }
        if let name = unsupported[code] {
            throw Failure(.unsupported, "The element type \(name) is not one this version of Martlet runs.")
        }
        throw Failure(.malformed, "There is no element type with the code \(code).")
    }

    static func code(of dtype: DataType) throws -> Int {
        if let match = codes.first(where: { $0.1 == dtype }) { return match.0 }
        throw Failure(.unsupported, "Model files cannot hold \(dtype.name) values.")
    }
}

extension ValueType {
    /// Reads a type; `depth` counts the types it lies in.
    init(_ reader: ProtobufReader, depth: Int = 0) throws {
        guard depth < SpecLimits.typeDepth else {
            throw Failure(.malformed, "A type nests deeper than \(SpecLimits.typeDepth).")
        }
        var reader = reader
        var type: ValueType?
        while let field = try reader.next() {
            switch field {
            case 1: type = .tensor(try TensorType(reader.message()))
            case 2: type = try Self.list(reader.message(), depth: depth + 1)
            case 3:
                var members: [ValueType] = []
                try reader.message().each(1) { members.append(try ValueType($0.message(), depth: depth + 1)) }
                type = .tuple(members)
            case 4: type = try Self.dictionary(reader.message(), depth: depth + 1)
            case 5:
                var wrapped: ValueType?
                try reader.message().each(1) { wrapped = try ValueType($0.message(), depth: depth + 1) }
                guard case .tensor(let tensor)? = wrapped else {
                    throw Failure(.malformed, "A state must hold a tensor.")
                }
                type = .state(tensor)
            default: try reader.skip()
            }
        }
        guard let type else {
            throw Failure(.malformed, "A type is empty; it must be a tensor, list, tuple, dictionary or state.")
        }
        self = type
    }

    private static func list(_ reader: ProtobufReader, depth: Int) throws -> ValueType {
        var reader = reader
        var element: ValueType?
        var length: Int?
        while let field = try reader.next() {
            switch field {
            case 1: element = try ValueType(reader.message(), depth: depth)
            case 2:
                let size = try TensorType.dimension(reader.message())
                length = size < 0 ? nil : size
            default: try reader.skip()
            }
        }
        guard let element else { throw Failure(.malformed, "A list type has no element type.") }
        return .list(element, length: length)
    }

    private static func dictionary(_ reader: ProtobufReader, depth: Int) throws -> ValueType {
        var reader = reader
        var (key, value): (ValueType?, ValueType?)
        while let field = try reader.next() {
            switch field {
            case 1: key = try ValueType(reader.message(), depth: depth)
            case 2: value = try ValueType(reader.message(), depth: depth)
            default: try reader.skip()
            }
        }
        guard let key, let value else {
            throw Failure(.malformed, "A dictionary type must have a key and a value type.")
        }
        return .dictionary(key: key, value: value)
    }
}

extension TensorType {
    init(_ reader: ProtobufReader) throws {
        var reader = reader
        self.init(.float32, [])
        var (code, rank) = (0, 0)
        while let field = try reader.next() {
            switch field {
            case 1: code = try reader.int()
            case 2: rank = try reader.int()
            case 3: shape.append(try Self.dimension(reader.message()))
            default: try reader.skip()
            }
        }
        guard rank == shape.count else {
            if rank < 0 || shape.isEmpty {
                throw Failure(.unsupported, "A tensor has a rank that is not known before the run.")
            }
            throw Failure(.malformed, "A tensor of rank \(rank) has \(shape.count) dimensions.")
        }
        dtype = try WireDataType.dtype(code)
        try SpecLimits.check(shape, dtype)
    }

    /// A size, or -1 where it is not known.
    fileprivate static func dimension(_ reader: ProtobufReader) throws -> Int {
        var reader = reader
        var size: Int?
        while let field = try reader.next() {
            switch field {
            case 1:
                var value: UInt64 = 0
                try reader.message().each(1) { value = try $0.uint64() }
                guard value <= UInt64(TensorType.largestByteCount) else {
                    throw Failure(.outOfMemory, "A dimension of \(value) is more than any tensor may hold.")
                }
                size = Int(value)
            case 2:
                var isVariadic = false
                try reader.message().each(1) { isVariadic = try $0.bool() }
                if isVariadic { throw Failure(.unsupported, "A tensor has a rank that is not known before the run.") }
                size = -1
            default: try reader.skip()
            }
        }
        guard let size else { throw Failure(.malformed, "A dimension is neither a size nor unknown.") }
        return size
    }
}
