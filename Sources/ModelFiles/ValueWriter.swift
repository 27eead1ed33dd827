import MIL

/// Writes constants: small ones into the description, large ones into the weight file, equal bytes once.
struct ValueWriter {
    private var weights: WeightWriter
    private var offsets: [Place: Int] = [:]

    /// Elements from which on a constant goes to the weight file, as coremltools does it.
    private static let large = 10

    /// Two constants over the same bytes of the same storage are one.
    private struct Place: Hashable {
        let address: UnsafeMutableRawPointer
        let byteCount: Int
        let dtype: DataType
        let narrow: NarrowType?
    }

    init(weightsPath: String) throws { weights = try WeightWriter(weightsPath) }

    func finish() throws -> Digest { try weights.finish() }

    /// Writes a constant, packed where its elements take fewer than eight bits.
    mutating func write(
        _ tensor: Tensor, _ opset: Int, as narrow: NarrowType? = nil, to writer: inout ProtobufWriter
    ) throws {
        try writer.message(2) { type in try type.message(1) { try $0.tensorType(tensor.type, as: narrow) } }
        guard tensor.count >= Self.large, narrow != nil || Self.weightTypes(opset).contains(tensor.dtype) else {
            try writer.message(3) { immediate in
                try immediate.message(1) { content in
                    guard let narrow else { return try content.elements(tensor) }
                    content.message(7) { if tensor.count > 0 { $0.raw(1, narrow.pack(tensor)) } }
                }
            }
            return
        }
        let place = Place(
            address: tensor.pointer, byteCount: tensor.bytes.count, dtype: tensor.dtype, narrow: narrow)
        let offset: Int
        if let known = offsets[place] {
            offset = known
        } else {
            offset = try weights.write(tensor, as: narrow)
            offsets[place] = offset
        }
        writer.message(5) { blob in
            blob.string(1, "@model_path/weights/weight.bin")
            blob.int(2, offset)
        }
    }

    private static func weightTypes(_ opset: Int) -> Set<DataType> {
        let first: Set<DataType> = [.float16, .float32, .uint8, .int8]
        return opset < 3 ? first : first.union([.uint16, .int16, .int32, .uint32])
    }
}

extension ProtobufWriter {
    mutating func type(_ type: ValueType) throws {
        switch type {
        case .tensor(let tensor): try message(1) { try $0.tensorType(tensor) }
        case .list(let element, let length):
            try message(2) { list in
                try list.message(1) { try $0.type(element) }
                list.message(2) { $0.dimension(length ?? -1) }
            }
        case .tuple(let members):
            try message(3) { tuple in
                for member in members { try tuple.message(1) { try $0.type(member) } }
            }
        case .dictionary(let key, let value):
            try message(4) { dictionary in
                try dictionary.message(1) { try $0.type(key) }
                try dictionary.message(2) { try $0.type(value) }
            }
        case .state(let tensor):
            try message(5) { state in try state.message(1) { try $0.type(.tensor(tensor)) } }
        }
    }

    mutating func tensorType(_ type: TensorType, as narrow: NarrowType? = nil) throws {
        int(1, try narrow?.code ?? WireDataType.code(of: type.dtype))
        int(2, type.rank)
        for size in type.shape { message(3) { $0.dimension(size) } }
    }

    private mutating func dimension(_ size: Int) {
        if size < 0 { message(2) { $0.int(1, 0) } } else { message(1) { $0.int(1, size) } }
    }

    /// A text as a value, for names.
    mutating func text(_ text: String) throws {
        try message(2) { try $0.type(.tensor(TensorType(.string, []))) }
        try message(3) { try $0.message(1) { try $0.elements(Tensor(text)) } }
    }

    /// A list of texts or integers as a value, for class labels.
    mutating func list(_ labels: Interface.Labels) throws {
        let elements: [Tensor]
        switch labels {
        case .strings(let names): elements = names.map { Tensor($0) }
        case .integers(let numbers): elements = numbers.map { Tensor(Int64($0)) }
        }
        let element = ValueType.tensor(TensorType(elements.first?.dtype ?? .string, []))
        try message(2) { try $0.type(.list(element, length: elements.count)) }
        try message(3) { immediate in
            try immediate.message(3) { list in
                for tensor in elements {
                    try list.message(1) { value in
                        try value.message(2) { try $0.type(element) }
                        try value.message(3) { try $0.message(1) { try $0.elements(tensor) } }
                    }
                }
            }
        }
    }

    /// The elements in the field that belongs to their type: small integers and halves lie there as bytes.
    mutating func elements(_ tensor: Tensor) throws {
        switch tensor.dtype {
        case .float32: message(1) { if tensor.count > 0 { $0.raw(1, tensor.bytes) } }
        case .float64: message(6) { if tensor.count > 0 { $0.raw(1, tensor.bytes) } }
        case .float16, .int8, .uint8, .uint32: message(7) { if tensor.count > 0 { $0.raw(1, tensor.bytes) } }
        case .int32, .int16, .uint16: integers(2, tensor)
        case .bool: integers(3, tensor)
        case .int64, .uint64: integers(5, tensor)
        case .string:
            message(4) { strings in for text in tensor.strings { strings.string(1, text) } }
        case .complex64, .complex128:
            throw Failure(.unsupported, "Model files cannot hold \(tensor.dtype.name) values.")
        }
    }

    private mutating func integers(_ field: Int, _ tensor: Tensor) {
        message(field) { values in
            guard tensor.count > 0 else { return }
            values.packed(
                1,
                (0..<tensor.count).lazy.map { index in
                    tensor.dtype == .uint64
                        ? Int(
                            truncatingIfNeeded: tensor.pointer.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
                        )
                        : tensor.int(at: index) ?? 0
                })
        }
    }
}
