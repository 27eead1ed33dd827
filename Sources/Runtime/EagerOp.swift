import MIL
import Synchronization

/// One op with its constants bound, ready to be called on tensors. A call is a program of one line: it is compiled once
/// for each combination of input types, and found again without a lock.
public final class EagerOp: Sendable {
    public let op: Op
    /// The parameters that a call's inputs go to, in order; a name that repeats stands for a list.
    public let inputs: [String]
    public let constants: [(name: String, value: Tensor)]
    private let source: any ExecutableSource
    private nonisolated(unsafe) let places: UnsafeMutablePointer<Slot>
    private static let placeCount = 16

    public init(_ name: String, inputs: [String], constants: [(String, Tensor)] = [], source: any ExecutableSource)
        throws
    {
        guard let op = OpTable[name] else { throw Failure(.unsupported, "There is no op '\(name)'.") }
        for name in inputs + constants.map(\.0) where op.parameter(name) == nil {
            let names = op.parameters.map(\.name).joined(separator: ", ")
            throw Failure(.invalidArgument, "op '\(op.name)': There is no parameter '\(name)'; there are \(names).")
        }
        self.op = op
        self.inputs = inputs
        self.constants = constants.map { (name: $0.0, value: $0.1) }
        self.source = source
        places = .allocate(capacity: EagerOp.placeCount)
        for index in 0..<EagerOp.placeCount { (places + index).initialize(to: Slot()) }
    }

    deinit {
        places.deinitialize(count: EagerOp.placeCount)
        places.deallocate()
    }

    /// Runs the op. A pin is the name of the device that must run it.
    public func call(_ tensors: [Tensor], pin: String? = nil) throws -> [Tensor] {
        let entry = try entry(for: tensors.map(\.type), pin)
        source.countCall()
        return try entry.prepared.executable.run(tensors)
    }

    /// Runs an op of one input and one result.
    @inline(__always)
    public func call(_ x: Tensor, pin: String? = nil) throws -> Tensor {
        let hash = EagerOp.hash(x.type)
        let known = try find(hash, pin) { $0.types.count == 1 && $0.types[0] == x.type }
        guard let entry = known, let type = entry.result, !source.isObserving else {
            return try only(call([x], pin: pin))
        }
        source.countCall()
        let result = Tensor(type, storage: try Storage(allocating: entry.resultBytes))
        try withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer.self, capacity: 2) { room in
            room[0] = x.pointer
            room[1] = result.pointer
            try entry.prepared.executable.run(from: room.baseAddress!, into: room.baseAddress! + 1)
        }
        withExtendedLifetime((x, result)) {}
        return result
    }

    /// Runs an op of two inputs and one result.
    @inline(__always)
    public func call(_ x: Tensor, _ y: Tensor, pin: String? = nil) throws -> Tensor {
        let hash = EagerOp.hash(x.type) &* 31 &+ EagerOp.hash(y.type)
        let known = try find(hash, pin) { $0.types.count == 2 && $0.types[0] == x.type && $0.types[1] == y.type }
        guard let entry = known, let type = entry.result, !source.isObserving else {
            return try only(call([x, y], pin: pin))
        }
        source.countCall()
        let result = Tensor(type, storage: try Storage(allocating: entry.resultBytes))
        try withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer.self, capacity: 3) { room in
            room[0] = x.pointer
            room[1] = y.pointer
            room[2] = result.pointer
            try entry.prepared.executable.run(from: room.baseAddress!, into: room.baseAddress! + 2)
        }
        withExtendedLifetime((x, y, result)) {}
        return result
    }

    private func only(_ results: [Tensor]) throws -> Tensor {
        guard results.count == 1 else {
            throw Failure(.invalidArgument, "op '\(op.name)' gives \(results.count) results here; take mlt_call.")
        }
        return results[0]
    }

    // MARK: Writing

    /// Writes the op into a function, with casts where its arguments must be of one type.
    public func write(_ arguments: [ValueID], in function: inout Function) throws -> [ValueID] {
        guard arguments.count == inputs.count else {
            throw Failure(
                .invalidArgument, "op '\(op.name)' takes \(inputs.count) inputs here, not \(arguments.count).")
        }
        var values = arguments
        try promote(&values, in: &function)
        var bound: [Argument] = []
        for (name, id) in zip(inputs, values) {
            if let index = bound.firstIndex(where: { $0.name == name }) {
                bound[index].values.append(id)
            } else {
                bound.append(Argument(name, [id]))
            }
        }
        for (name, value) in constants {
            let id = function.constant(value, name: "\(op.name)_\(name)_\(function.values.count)")
            bound.append(Argument(name, [id]))
        }
        return try function.append(
            Operation(op.name, bound, outputs: []), name: "\(op.name)_\(function.values.count)")
    }

    /// Casts the arguments of parameters that share one type, and whole numbers where the op takes none.
    private func promote(_ values: inout [ValueID], in function: inout Function) throws {
        let shared = inputs.indices.filter { op.shared.contains(inputs[$0]) }
        var common: DataType?
        for index in shared {
            let dtype = try function.tensorType(values[index]).dtype
            guard let both = common.map({ $0.promoted(with: dtype) }) ?? dtype else {
                throw Failure(.wrongType, "op '\(op.name)': \(common?.name ?? "") and \(dtype.name) do not combine.")
            }
            common = both
        }
        for index in inputs.indices {
            let dtype = try function.tensorType(values[index]).dtype
            let wanted = wanted(shared.contains(index) ? common ?? dtype : dtype, of: inputs[index])
            if wanted != dtype { values[index] = try cast(values[index], to: wanted, in: &function) }
        }
    }

    /// The type an argument comes in: whole numbers become fp32 where the parameter takes floating point only.
    private func wanted(_ dtype: DataType, of name: String) -> DataType {
        guard let parameter = op.parameter(name), !parameter.dtypes.contains(dtype) else { return dtype }
        return (dtype.isInteger || dtype == .bool) && parameter.dtypes.contains(.float32) ? .float32 : dtype
    }

    private func cast(_ id: ValueID, to dtype: DataType, in function: inout Function) throws -> ValueID {
        let name = "\(dtype.name)_\(function.values.count)"
        let target = function.constant(Tensor(dtype.name), name: "\(name)_dtype")
        return try function.append("cast", name: name, ["x": [id], "dtype": [target]])[0]
    }

    /// The op as a function of one line, for inputs of these types.
    func function(for types: [TensorType]) throws -> Function {
        var function = Function(name: op.name)
        let arguments = types.enumerated().map {
            function.input("\(inputs[$0.offset])_\($0.offset)", .tensor($0.element))
        }
        function.block.outputs = try write(arguments, in: &function)
        return function
    }

    // MARK: Finding

    /// What is prepared for one combination of input types.
    private final class Entry: Sendable {
        let types: [TensorType]
        let pin: String?
        let prepared: Prepared
        let generation: UInt64
        /// The result's type, where there is one result of known shape.
        let result: TensorType?
        let resultBytes: Int

        init(_ types: [TensorType], _ pin: String?, _ prepared: Prepared, generation: UInt64) {
            self.types = types
            self.pin = pin
            self.prepared = prepared
            self.generation = generation
            let outputs = prepared.executable.outputs
            let isPlain = outputs.count == 1 && outputs[0].type.isFixed && outputs[0].type.dtype != .string
            result = isPlain ? outputs[0].type : nil
            resultBytes = isPlain ? outputs[0].type.byteCount : 0
        }
    }

    @inline(__always)
    private func find(_ hash: UInt32, _ pin: String?, _ matches: (Entry) -> Bool) throws -> Entry? {
        let place = places + Int(hash & UInt32(EagerOp.placeCount - 1))
        guard let object = place.pointee.enter(tag: hash) else { return nil }
        defer { _ = place.pointee.leave() }
        let entry = unsafeDowncast(object, to: Entry.self)
        return matches(entry) && entry.pin == pin && entry.generation == source.generation ? entry : nil
    }

    private func entry(for types: [TensorType], _ pin: String?) throws -> Entry {
        let hash = types.reduce(nil) { sum, type in (sum ?? 0) &* 31 &+ EagerOp.hash(type) } ?? 1
        if let entry = try find(hash, pin, { $0.types == types }) { return entry }
        guard types.count == inputs.count else {
            throw Failure(.invalidArgument, "op '\(op.name)' takes \(inputs.count) inputs here, not \(types.count).")
        }
        let generation = source.generation
        let prepared = try source.prepared(for: function(for: types), pin: pin)
        let entry = Entry(types, pin, prepared, generation: generation)
        let place = places + Int(hash & UInt32(EagerOp.placeCount - 1))
        keep(entry, hash, in: place)
        return entry
    }

    /// One thread at a time fills a place; where another is at it, this entry is simply not kept.
    private func keep(_ entry: Entry, _ hash: UInt32, in place: UnsafeMutablePointer<Slot>) {
        filling.withLockIfAvailable { _ in
            if place.pointee.isEmpty || place.pointee.end(tag: place.pointee.tag).cleared {
                place.pointee.fill(entry, tag: hash)
            }
        }
    }

    private let filling = Mutex(())

    @inline(__always)
    private static func hash(_ type: TensorType) -> UInt32 {
        var hash = UInt32(type.dtype.rawValue) &+ 17
        for size in type.shape { hash = (hash &* 16_777_619) ^ UInt32(truncatingIfNeeded: size) }
        return hash ^ hash >> 15
    }
}

/// What stands behind eager calls: answers an executable for a function, on the device the selector chose.
public protocol ExecutableSource: Sendable {
    func prepared(for function: Function, pin: String?) throws -> Prepared
    /// Changes when earlier answers should be asked for again: after a calibration, or when a device is pinned.
    var generation: UInt64 { get }
    /// Whether somebody wants to see each step of a run.
    var isObserving: Bool { get }
    /// Called for every eager call.
    func countCall()
}

/// An executable with the device that runs it and the reason why it does.
public struct Prepared: Sendable {
    public var executable: any Executable
    public var device: String
    public var reason: String

    public init(executable: any Executable, device: String, reason: String) {
        self.executable = executable
        self.device = device
        self.reason = reason
    }
}
