import MIL

/// What is known of the integers that a function computes: enough to tell whether 16 bits hold them.
struct IntegerRanges {
    private let function: Function
    private var makers: [ValueID: Operation] = [:]
    private var readers: [ValueID: [Operation]] = [:]

    init(of function: Function) {
        self.function = function
        for operation in function.allOperations {
            for id in operation.outputs { makers[id] = operation }
            for id in operation.inputs { readers[id, default: []].append(operation) }
        }
    }

    /// The integers of a 16-bit type that is the result of a cast or holds positions; nil if they fit, or for other results.
    func excess(of operation: Operation) -> String? {
        for id in operation.outputs {
            guard let dtype = function[id].type.tensor?.dtype, let limits = dtype.limits else { continue }
            if operation.op == "cast", let x = operation["x"]?.first, let given = function[x].type.tensor?.dtype {
                // What was narrow before says its range.
                guard given != .bool, given.size > 1 || given.isFloat, given != dtype else { continue }
                if let found = range(of: x) {
                    if !limits.contains(found) { return "\(found) as \(dtype.name)" }
                } else if !indexes(id, upTo: limits.upperBound) {
                    return "\(given.name) of any size as \(dtype.name)"
                }
            } else if let found = positions(operation), !limits.contains(found) {
                return "positions \(found) as \(dtype.name)"
            }
        }
        return nil
    }

    /// The least and the largest number that a value may hold, as far as that follows from the program.
    private func range(of id: ValueID, depth: Int = 0) -> ClosedRange<Int>? {
        if let constant = function[id].constant {
            guard constant.count <= 1 << 16, let values = constant.ints, let least = values.min(),
                let most = values.max()
            else { return nil }
            return least...most
        }
        guard depth < 64, let maker = makers[id], let op = OpTable[maker.op], op.custom == nil else { return nil }
        if let found = positions(maker), function[id].type.tensor?.dtype.isInteger == true, maker.outputs.last == id {
            return found
        }
        switch maker.op {
        case "shape":
            guard let x = maker["x"]?.first.flatMap({ function[$0].type.tensor }), x.isFixed else { return nil }
            return 0...(x.shape.max() ?? 0)
        case "cast", "identity", "gather", "gather_along_axis", "gather_nd":
            return maker["x"]?.first.flatMap { range(of: $0, depth: depth + 1) }
        case _ where op.family == .shape && op.parameter("x") != nil && op.parameter("constant_val") == nil:
            return maker["x"]?.first.flatMap { range(of: $0, depth: depth + 1) }
        default: return nil
        }
    }

    /// The positions that an operation finds along its axis.
    private func positions(_ operation: Operation) -> ClosedRange<Int>? {
        guard ["topk", "argsort", "reduce_argmax", "reduce_argmin"].contains(operation.op),
            let call = try? Call(operation, in: function), let x = try? call.type("x"),
            let axis = try? call.axis(rank: x.rank), x.shape[axis] > 0
        else { return nil }
        return 0...(x.shape[axis] - 1)
    }

    /// Whether a value is only read as indices of axes that end within a limit: others would be wrong in any type.
    private func indexes(_ id: ValueID, upTo limit: Int, depth: Int = 0) -> Bool {
        guard depth < 64, !function.outputs.contains(id), let readers = readers[id], !readers.isEmpty else {
            return false
        }
        return readers.allSatisfy { reader in
            if reader["indices"] == [id], reader["x"] != [id],
                let call = try? Call(reader, in: function), let x = try? call.type("x"),
                let axis = try? call.axis(rank: x.rank)
            {
                return x.shape[axis] >= 0 && x.shape[axis] <= limit
            }
            guard OpTable[reader.op]?.family == .shape, reader["x"] == [id] else { return false }
            return reader.outputs.allSatisfy { indexes($0, upTo: limit, depth: depth + 1) }
        }
    }
}

extension DataType {
    /// What 16 bits hold; nil for other types.
    fileprivate var limits: ClosedRange<Int>? {
        switch self {
        case .int16: -32768...32767
        case .uint16: 0...65535
        default: nil
        }
    }
}

extension ClosedRange<Int> {
    fileprivate func contains(_ other: Self) -> Bool {
        lowerBound <= other.lowerBound && other.upperBound <= upperBound
    }
}
