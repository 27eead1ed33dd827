import MIL

/// Integers of fewer than eight bits. Only files have them: in memory they are int8 and uint8, single bits bool.
struct NarrowType: Hashable {
    let name: String
    let bits: Int
    /// What they are inside.
    let dtype: DataType
    /// Their codes in the types of the description and in the records of the weight file.
    let code: Int
    let weightCode: UInt32

    static let all = [
        NarrowType(name: "int4", bits: 4, dtype: .int8, code: 25, weightCode: 8),
        NarrowType(name: "uint1", bits: 1, dtype: .bool, code: 37, weightCode: 9),
        NarrowType(name: "uint2", bits: 2, dtype: .uint8, code: 36, weightCode: 10),
        NarrowType(name: "uint3", bits: 3, dtype: .uint8, code: 39, weightCode: 12),
        NarrowType(name: "uint4", bits: 4, dtype: .uint8, code: 35, weightCode: 11),
        NarrowType(name: "uint6", bits: 6, dtype: .uint8, code: 38, weightCode: 13),
    ]

    static func of(code: Int) -> NarrowType? { all.first { $0.code == code } }
    static func named(_ name: String) -> NarrowType? { all.first { $0.name == name } }

    /// The one that a tensor type in a file names; nil where its elements take whole bytes.
    init?(_ wire: ProtobufReader) throws {
        var code = 0
        try wire.each(1) { field in
            try field.message().each(1) { code = try $0.int() }
        }
        guard let match = NarrowType.of(code: code) else { return nil }
        self = match
    }

    private init(name: String, bits: Int, dtype: DataType, code: Int, weightCode: UInt32) {
        (self.name, self.bits, self.dtype, self.code, self.weightCode) = (name, bits, dtype, code, weightCode)
    }

    /// Bytes that so many of them take, one after the other from the lowest bit on.
    func byteCount(_ count: Int) -> Int { (count * bits + 7) / 8 }

    /// The numbers of a list of bytes that holds as many as the type says, and perhaps some filling.
    func unpack(_ bytes: UnsafeRawBufferPointer, as type: TensorType) throws -> Tensor {
        let count = type.count
        guard bytes.count >= byteCount(count) else {
            throw Failure(
                .malformed,
                "\(bytes.count) bytes cannot hold \(count) numbers of the type \(name), which take \(byteCount(count))."
            )
        }
        let result = try Tensor(uninitialized: type)
        let target = result.pointer.assumingMemoryBound(to: UInt8.self)
        let mask = (1 << UInt32(bits)) - 1 as UInt32
        let sign: UInt32 = dtype == .int8 ? 1 << UInt32(bits - 1) : 0
        var (held, available, next): (UInt32, Int, Int) = (0, 0, 0)
        for index in 0..<count {
            if available < bits {
                held |= UInt32(bytes[next]) << UInt32(available)
                (available, next) = (available + 8, next + 1)
            }
            // Flipping the sign's bit and taking it off again extends it over the byte.
            target[index] = UInt8(truncatingIfNeeded: ((held & mask) ^ sign) &- sign)
            held >>= UInt32(bits)
            available -= bits
        }
        return result
    }

    /// The bytes that hold the elements of a tensor, each within the type.
    func pack(_ tensor: Tensor) -> [UInt8] {
        let source = tensor.bytes
        var result: [UInt8] = []
        result.reserveCapacity(byteCount(tensor.count))
        let mask = (1 << UInt32(bits)) - 1 as UInt32
        var (held, filled): (UInt32, Int) = (0, 0)
        for byte in source {
            held |= (UInt32(byte) & mask) << UInt32(filled)
            filled += bits
            if filled >= 8 {
                result.append(UInt8(truncatingIfNeeded: held))
                (held, filled) = (held >> 8, filled - 8)
            }
        }
        if filled > 0 { result.append(UInt8(truncatingIfNeeded: held)) }
        return result
    }

    /// Whether every element of a tensor lies within the type.
    func holds(_ tensor: Tensor) -> Bool {
        guard tensor.dtype == dtype else { return false }
        if dtype == .bool { return true }
        let limit = dtype == .int8 ? 1 << (bits - 1) : 1 << bits
        if dtype == .uint8 { return tensor.bytes.allSatisfy { Int($0) < limit } }
        return tensor.bytes.allSatisfy { (-limit..<limit).contains(Int(Int8(bitPattern: $0))) }
    }
}

extension NarrowType {
    /// The types, by parameter, in which compressed weights of a function are written: indices in as many bits as their
    /// table needs, masks in single bits, numbers in four bits where all fit. Core ML has them since CoreML8.
    static func ofArguments(_ operation: Operation, in function: Function) -> [String: NarrowType] {
        func tensor(_ name: String) -> Tensor? { operation[name]?.first.flatMap { function[$0].constant } }
        guard operation["shape"] == nil else { return [:] }
        switch operation.op {
        case "constexpr_lut_to_dense", "constexpr_lut_to_sparse":
            let name = operation.op == "constexpr_lut_to_dense" ? "indices" : "indices_nonzero_data"
            let entries = operation["lut"]?.first.flatMap { function[$0].type.tensor?.shape.dropLast().last } ?? 0
            var types = ["indices_mask": named("uint1")]
            types[name] = all.first { $0.dtype != .int8 && 1 << $0.bits == entries }
            return types.compactMapValues { $0 }
        case "constexpr_sparse_to_dense": return ["mask": named("uint1")].compactMapValues { $0 }
        case "constexpr_blockwise_shift_scale", "constexpr_sparse_blockwise_shift_scale":
            let data = operation.op == "constexpr_blockwise_shift_scale" ? "data" : "nonzero_data"
            var types = ["data_mask": named("uint1")].compactMapValues { $0 }
            for name in ["int4", "uint4"] {
                guard let narrow = named(name), let numbers = tensor(data), narrow.holds(numbers),
                    operation["offset"] == nil || tensor("offset").map(narrow.holds) == true
                else { continue }
                (types[data], types["offset"]) = (narrow, narrow)
            }
            return types
        default: return [:]
        }
    }
}

extension Function {
    /// Indices of single bits are numbers rather than truths.
    mutating func takeBitsAsIndices() {
        for operation in allOperations where operation.op.hasPrefix("constexpr_lut_to_") {
            for id in ["indices", "indices_nonzero_data"].compactMap({ operation[$0]?.first }) {
                guard let bits = self[id].constant, bits.dtype == .bool else { continue }
                let numbers = Tensor(
                    TensorType(.uint8, bits.shape), storage: bits.storage, byteOffset: bits.byteOffset)
                self[id].constant = numbers
                self[id].type = .tensor(numbers.type)
            }
        }
    }
}
