import MIL
import Synchronization

/// One op with its constants bound, ready to be called on tensors. A call is a program of one line: it is compiled once
/// for each combination of input types, and found again without a lock.
public final class EagerOp: Sendable {
    public let op: Op
    /// The parameters that a call's inputs go to, in order; a name that repeats stands for a list.
    public let inputs: [String]
    public let constants: [(name: String, value: Tensor)]
    public let backend: Backend
    private nonisolated(unsafe) let places: UnsafeMutablePointer<Slot>
    private static let placeCount = 16

    public init(_ name: String, inputs: [String], constants: [(String, Tensor)] = [], backend: Backend) throws {
        guard let op = OpTable[name] else { throw Failure(.unsupported, "There is no op '\(name)'.") }
        for name in inputs + constants.map(\.0) where op.parameter(name) == nil {
            let names = op.parameters.map(\.name).joined(separator: ", ")
            throw Failure(.invalidArgument, "op '\(op.name)': There is no parameter '\(name)'; there are \(names).")
        }
        self.op = op
        self.inputs = inputs
        self.constants = constants.map { (name: $0.0, value: $0.1) }
        self.backend = backend
        places = .allocate(capacity: EagerOp.placeCount)
        for index in 0..<EagerOp.placeCount { (places + index).initialize(to: Slot()) }
    }

    deinit {
        places.deinitialize(count: EagerOp.placeCount)
        places.deallocate()
    }

    /// Runs the op on the device that the backend's rule chooses, or on the one that is pinned.
    public func call(_ tensors: [Tensor], pin: Pin? = nil) throws -> [Tensor] {
        try entry(for: tensors.map(\.type), pin).prepared.run(tensors)
    }

    /// Runs an op of one or two inputs and one result on memory, where that is compiled for these types already; nil
    /// where it is not, and `call` has to do it. Where `brief`, only what is over within a few microseconds.
    @inline(__always)
    public func quick(
        _ x: SharedType, _ xs: UnsafeMutableRawPointer, _ y: SharedType?, _ ys: UnsafeMutableRawPointer?, pin: Pin?,
        brief: Bool = false
    ) throws -> (type: SharedType, storage: Unmanaged<Storage>)? {
        let hash = y.map { x.hash &* 31 &+ $0.hash } ?? x.hash
        let place = places + Int(hash & UInt32(EagerOp.placeCount - 1))
        guard let object = place.pointee.enter(tag: hash) else { return nil }
        defer { _ = place.pointee.leave() }
        return try object._withUnsafeGuaranteedRef {
            let entry = unsafeDowncast($0, to: Entry.self)
            guard let type = entry.result, entry.isBrief || !brief, entry.fits(x, y), entry.pin === pin,
                entry.generation == Generation.current
            else { return nil }
            let storage = try StoragePool.take(type.byteCount)
            do {
                if try entry.run(xs, ys, storage._withUnsafeGuaranteedRef { $0.pointer }) { return (type, storage) }
            } catch {
                StoragePool.give(storage)
                throw error
            }
            StoragePool.give(storage)
            return nil
        }
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

    /// Casts the arguments of parameters that share one type, and integers if the op does not take them.
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

    /// The type that an argument is cast to: integers and booleans become fp32 if the parameter does not take them.
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
        let types: [SharedType]
        let pin: Pin?
        let prepared: Prepared
        let generation: UInt64
        let isBrief: Bool
        /// The result's type, where there is one result of known shape.
        let result: SharedType?

        init(_ types: [SharedType], _ pin: Pin?, _ prepared: Prepared, generation: UInt64) {
            self.types = types
            self.pin = pin
            self.prepared = prepared
            self.generation = generation
            isBrief = prepared.executable.isBrief
            let outputs = prepared.executable.outputs
            let isPlain = outputs.count == 1 && outputs[0].type.isFixed && outputs[0].type.dtype != .string
            result = isPlain ? SharedType(outputs[0].type) : nil
        }

        @inline(__always)
        func fits(_ x: SharedType, _ y: SharedType?) -> Bool {
            guard let y else { return types.count == 1 && SharedType.matches(types[0], x) }
            return types.count == 2 && SharedType.matches(types[0], x) && SharedType.matches(types[1], y)
        }

        @inline(__always)
        func run(
            _ x: UnsafeMutableRawPointer, _ y: UnsafeMutableRawPointer?, _ result: UnsafeMutableRawPointer
        ) throws -> Bool {
            var memory = (x, y ?? x, result)
            return try withUnsafePointer(to: &memory) { memory in
                let addresses = UnsafeRawPointer(memory).assumingMemoryBound(to: UnsafeMutableRawPointer.self)
                return try prepared.runQuickly(from: addresses, into: addresses + 2)
            }
        }
    }

    private func entry(for types: [TensorType], _ pin: Pin?) throws -> Entry {
        guard types.count == inputs.count else {
            throw Failure(.invalidArgument, "op '\(op.name)' takes \(inputs.count) inputs here, not \(types.count).")
        }
        let shared = types.map { SharedType($0) }
        let hash = shared.dropFirst().reduce(shared.first?.hash ?? 1) { $0 &* 31 &+ $1.hash }
        let generation = Generation.current
        let place = places + Int(hash & UInt32(EagerOp.placeCount - 1))
        if let object = place.pointee.enter(tag: hash) {
            defer { _ = place.pointee.leave() }
            let entry = unsafeDowncast(object.takeUnretainedValue(), to: Entry.self)
            if entry.types.map(\.type) == types, entry.pin === pin, entry.generation == generation,
                entry.prepared.isCurrent
            {
                return entry
            }
        }
        let function = try function(for: types)
        let prepared =
            try pin.map { try backend.executable(for: function, on: $0.device) }
            ?? backend.executable(for: function)
        let entry = Entry(shared, pin, prepared, generation: generation)
        if backend.keepsExecutables { keep(entry, hash, in: place) }
        return entry
    }

    /// One thread at a time fills a place; where another is at it, this entry is simply not kept.
    private func keep(_ entry: Entry, _ hash: UInt32, in place: UnsafeMutablePointer<Slot>) {
        _ = filling.withLockIfAvailable { _ in
            if place.pointee.isEmpty || place.pointee.end(tag: place.pointee.tag).cleared {
                place.pointee.fill(entry, tag: hash)
            }
        }
    }

    private let filling = Mutex(())
}

/// A device that a tensor was put on, as an object: comparing two is comparing addresses.
public final class Pin: Sendable {
    public let device: any Device

    public init(_ device: any Device) { self.device = device }
}
