import CKernels
import MIL
import Runtime

/// Turns a function into an assembly: walks the operations in order, asks each op's kernel row to emit its steps, and
/// keeps track of how every value lies in memory.
final class Lowerer {
    let function: Function
    /// Whether dense kernels may come from oneDNN.
    let usesOneDNN: Bool
    private(set) var assembly = Assembly()

    private var views: [View?]
    /// Operations that read a value, by index; function outputs count as one more use.
    private(set) var readers: [[Int]]
    private(set) var producer: [Int?]
    private let isOutput: Set<ValueID>
    /// Values whose elements are rounded through fp16, because the program says fp16 and the mode obeys.
    let rounded: Set<ValueID>
    /// The custom ops as they were when the function was compiled.
    private let customs: [String: Op]
    let attention: AttentionGroups
    private(set) var groups: ElementwiseGroups
    private var absorbed: Set<Int> = []
    private var constants: [ObjectIdentifier: View] = [:]
    /// Results whose first dimension is known only during the run, with their buffers.
    private var counted: [ValueID: Int] = [:]

    init(_ function: Function, usesOneDNN: Bool, rounded: Set<ValueID>, customs: [String: Op] = [:]) {
        self.function = function
        self.usesOneDNN = usesOneDNN
        self.rounded = rounded
        self.customs = customs
        views = Array(repeating: nil, count: function.values.count)
        readers = Array(repeating: [], count: function.values.count)
        producer = Array(repeating: nil, count: function.values.count)
        isOutput = Set(function.outputs)
        for (index, operation) in function.operations.enumerated() {
            for id in operation.inputs where readers[Int(id.index)].last != index {
                readers[Int(id.index)].append(index)
            }
            for id in operation.outputs { producer[Int(id.index)] = index }
        }
        attention = AttentionGroups(function, readers: readers, producer: producer, outputs: isOutput, rounded: rounded)
        groups = ElementwiseGroups(
            function, readers: readers, outputs: isOutput, except: attention.inner, rounded: rounded)
        absorbed = attention.inner
    }

    /// Lowers the whole function.
    func lower() throws -> Assembly {
        // No kernel prepares anything for a value that could not exist.
        try checkMemory(
            function.operations.flatMap(\.outputs).compactMap { function[$0].type.tensor?.byteCount }.max() ?? 0)
        for (position, id) in function.inputs.enumerated() {
            let type = try function.tensorType(id)
            assembly.buffers.append(.init(byteCount: type.byteCount, place: .input(position)))
            assembly.inputs.append(Port(name: function[id].name, type: type))
            define(
                id,
                View(
                    buffer: assembly.buffers.count - 1, dtype: type.dtype, offset: 0, shape: type.shape,
                    strides: View.strides(of: type.shape)))
        }
        for (index, operation) in function.operations.enumerated() where !absorbed.contains(index) {
            if groups.isInner(index) { continue }
            let call = try Call(operation, in: function, row: customs[operation.op])
            guard let kernel = CPUKernels[call.op] else {
                throw Failure(.unsupported, "\(call.place) has no kernel on the CPU engine.")
            }
            do {
                if let refusal = kernel.refusal(of: call) { throw Failure(.unsupported, refusal) }
                try kernel.lower(call, self, index)
                try roundResults(call)
            } catch let failure as Failure {
                throw failure.at(operation: call.place)
            }
        }
        try finish()
        return assembly
    }

    /// In the mode that obeys fp16, results of kernels that compute in fp32 are rounded where they lie. Tapes round by
    /// themselves, and what only moves elements has nothing to round.
    private func roundResults(_ call: Call) throws {
        let moves = call.op.family == .shape || (call.op.family == .indexing && !call.op.name.hasPrefix("scatter"))
        guard Tape.cells[call.op.name] == nil, !moves else { return }
        for id in call.operation.outputs where rounded.contains(id) {
            guard let view = views[Int(id.index)], view.count > 0 else { continue }
            let code = [mk_instruction(opcode: Int32(MK_ROUND_HALF.rawValue), out: 1, a: 0, b: 0, c: 0, p: 0, q: 0)]
            let tape = try PreparedTape(shape: view.shape, leaves: [view], code: code, result: 1, output: view)
            emit(call, kernel: "tape", reason: "rounded to fp16", output: id, reads: [view], writes: [view]) {
                tape.run($0)
            }
        }
    }

    // MARK: Values

    func isDefined(_ id: ValueID) -> Bool { views[Int(id.index)] != nil || function[id].constant != nil }

    func define(_ id: ValueID, _ view: View) { views[Int(id.index)] = view }

    /// Room for a result of at most `most` in its first dimension; the kernel tells the frame how many there are.
    func allocateOpen(_ id: ValueID, most: Int, _ dtype: DataType) throws -> View {
        let type = try function.tensorType(id)
        let room = allocate(type.isOpen ? [most] + type.shape.dropFirst() : type.shape, dtype)
        if type.isOpen { counted[id] = room.buffer }
        return room
    }

    /// How a value lies in memory; constants get a buffer when first asked for.
    func view(_ id: ValueID) throws -> View {
        if let view = views[Int(id.index)] { return view }
        guard let constant = function[id].constant else {
            throw Failure(.bug, "The value '\(function[id].name)' is used before it is computed.")
        }
        let type = try function.tensorType(id)
        let view = self.constant(type.dtype == .float32 && constant.dtype == .float16 ? widened(constant) : constant)
        define(id, view)
        return view
    }

    /// A buffer over a constant's own bytes.
    func constant(_ tensor: Tensor) -> View {
        assembly.buffers.append(.init(byteCount: tensor.type.byteCount, place: .constant(tensor)))
        return View(
            buffer: assembly.buffers.count - 1, dtype: tensor.dtype, offset: 0, shape: tensor.shape,
            strides: View.strides(of: tensor.shape))
    }

    /// fp16 elements as fp32.
    func widened(_ tensor: Tensor) -> Tensor {
        guard tensor.dtype == .float16 else { return tensor }
        let result = Tensor(TensorType(.float32, tensor.shape), storage: Storage(byteCount: tensor.count * 4))
        widen(tensor.pointer, to: result.pointer.assumingMemoryBound(to: Float.self), count: tensor.count)
        assembly.packedBytes += result.type.byteCount
        return result
    }

    /// Has the system bring in a mapped weight's pages at once.
    func fetch(_ tensor: Tensor) {
        if tensor.storage.isMapped { mk_fetch_pages(tensor.pointer, tensor.type.byteCount) }
    }

    /// Packs a mapped weight: its pages come in at once, and go when the packed copy serves in their place.
    func packing<Result>(_ tensor: Tensor, _ body: () throws -> Result) rethrows -> Result {
        fetch(tensor)
        defer { if tensor.storage.isMapped { mk_drop_pages(tensor.pointer, tensor.type.byteCount) } }
        return try body()
    }

    /// Counts bytes that a kernel packed for itself.
    func countPacked(_ bytes: Int) { assembly.packedBytes += bytes }

    /// A new intermediate value, dense with its dimensions in `order`.
    func allocate(_ shape: [Int], _ dtype: DataType, order: [Int]? = nil) -> View {
        let count = shape.reduce(1, *)
        assembly.buffers.append(.init(byteCount: count * dtype.size, place: .workspace(offset: 0)))
        return View(
            buffer: assembly.buffers.count - 1, dtype: dtype, offset: 0, shape: shape,
            strides: View.strides(of: shape, order: order))
    }

    /// Result memory for an operation's output, in the order its reader likes best, or in `order`. The last `fixed` axes
    /// lie innermost in row-major order, as a kernel needs that writes them so.
    func allocate(for id: ValueID, order: [Int]? = nil, fixed: Int = 0) throws -> View {
        let type = try function.tensorType(id)
        return allocate(type.shape, type.dtype, order: order ?? wantedOrder(of: id, fixed: fixed))
    }

    /// The order that makes the only reader's transposition free of copying, where there is one and it leaves the last
    /// `fixed` axes in place.
    func wantedOrder(of id: ValueID, fixed: Int = 0) -> [Int]? {
        let index = Int(id.index)
        guard readers[index].count == 1, !isOutput.contains(id) else { return nil }
        let reader = function.operations[readers[index][0]]
        guard reader.op == "transpose", let call = try? Call(reader, in: function),
            let rank = function[id].type.tensor?.rank,
            let permutation = try? call.axes("perm", rank: rank),
            permutation.suffix(fixed).elementsEqual((0..<rank).suffix(fixed))
        else { return nil }
        return permutation
    }

    /// The value with its elements dense in `order`, copied only where they do not lie so already.
    func dense(_ view: View, order: [Int]? = nil, for call: Call) -> View {
        if view.isDense(order: order) { return view }
        let target = allocate(view.shape, view.dtype, order: order)
        copy(view, to: target, for: call, why: "the kernel wants another layout")
        return target
    }

    func dense(_ id: ValueID, order: [Int]? = nil, for call: Call) throws -> View {
        try dense(view(id), order: order, for: call)
    }

    /// One elementwise instruction on operands that broadcast to the shape of the first, for kernels that need it around them.
    func compute(_ opcode: mk_opcode, of operands: [View], as dtype: DataType, for call: Call, why: String) throws
        -> View
    {
        let shape = operands[0].shape
        let output = allocate(shape, dtype, order: operands[0].memoryOrder)
        guard output.count > 0 else { return output }
        let leaves = operands.map { $0.broadcast(to: shape) }
        let result = Int32(leaves.count)
        let code = [mk_instruction(opcode: Int32(opcode.rawValue), out: result, a: 0, b: result - 1, c: 0, p: 0, q: 0)]
        let tape = try PreparedTape(shape: shape, leaves: leaves, code: code, result: result, output: output)
        emit(call, kernel: "tape", reason: why, reads: leaves, writes: [output]) { tape.run($0) }
        return output
    }

    // MARK: Steps

    func copy(_ source: View, to target: View, for call: Call, kernel: String = "copy", why: String) {
        guard source.count > 0 else { return }
        emit(call, kernel: kernel, reason: why, reads: [source], writes: [target], run: copying(source, to: target))
    }

    /// A step's work: the elements of one view into another of the same shape.
    private func copying(_ source: View, to target: View) -> Assembly.Action {
        let (size, rank) = (Int32(source.dtype.size), Int32(source.rank))
        let shape = source.shape.map(Int64.init)
        let (from, to) = (source.strides.map(Int64.init), target.strides.map(Int64.init))
        return { frame in mk_copy(size, rank, shape, frame[target], to, frame[source], from) }
    }

    func emit(
        _ call: Call, kernel: String, reason: String, covering ops: [String]? = nil, output: ValueID? = nil,
        reads: [View],
        writes: [View], inPlace: [(result: View, operand: View)] = [], run: @escaping Assembly.Action
    ) {
        let id = output ?? call.operation.outputs[0]
        let info = Plan.Step(
            ops: ops ?? [call.op.name], output: function[id].name,
            type: function[id].type.tensor ?? TensorType(.bool, []),
            kernel: kernel, reason: reason)
        let pairs = inPlace.filter { result, operand in
            result.dtype.size == operand.dtype.size && result.strides == operand.strides
                && result.shape == operand.shape
                && operand.offset == 0 && result.offset == 0
        }
        assembly.steps.append(
            .init(
                info: info, reads: reads, writes: writes, inPlace: pairs.map { ($0.result.buffer, $0.operand.buffer) },
                run: run))
    }

    /// Room that a step may use while it runs.
    func scratch(_ bytes: Int) { assembly.scratchBytes = max(assembly.scratchBytes, bytes) }

    /// Marks an operation as done by another one's kernel.
    func absorb(_ index: Int) {
        absorbed.insert(index)
        groups.remove(index)
    }

    /// The only operation that reads a value, where nothing else needs the value.
    func onlyReader(of id: ValueID) -> Int? {
        let index = Int(id.index)
        return readers[index].count == 1 && !isOutput.contains(id) ? readers[index][0] : nil
    }

    #if ONEDNN
        func add(_ primitive: PrimitiveCall) -> Int {
            assembly.primitives.append(primitive)
            return assembly.primitives.count - 1
        }
    #endif

    // MARK: Memory

    /// Binds outputs and gives every intermediate its place.
    private func finish() throws {
        var taken: Set<Int> = []
        for (position, id) in function.outputs.enumerated() {
            let declared = try function.tensorType(id)
            var view = try view(id)
            let type = declared.isOpen ? TensorType(declared.dtype, view.shape) : declared
            if let buffer = counted[id] { assembly.open.append((position, buffer)) }
            var isOwn = false
            if case .workspace = assembly.buffers[view.buffer].place { isOwn = !taken.contains(view.buffer) }
            let whole = view.offset == 0 && view.isDense() && assembly.buffers[view.buffer].byteCount == type.byteCount
            if !isOwn || !whole || view.dtype != type.dtype {
                let target = View(
                    buffer: assembly.buffers.count, dtype: type.dtype, offset: 0, shape: type.shape,
                    strides: View.strides(of: type.shape))
                assembly.buffers.append(.init(byteCount: type.byteCount, place: .workspace(offset: 0)))
                if view.count > 0 {
                    assembly.steps.append(
                        .init(
                            info: Plan.Step(
                                ops: [], output: function[id].name, type: type, kernel: "copy",
                                reason: "an output of its own in row-major order"),
                            reads: [view], writes: [target], inPlace: [], run: copying(view, to: target)))
                }
                view = target
            }
            taken.insert(view.buffer)
            assembly.buffers[view.buffer].place = .output(position)
            assembly.outputs.append(Port(name: function[id].name, type: declared))
            assembly.rooms.append(type)
        }
        var sizes: [Int: Int] = [:]
        for (index, buffer) in assembly.buffers.enumerated() {
            if case .workspace = buffer.place { sizes[index] = buffer.byteCount }
        }
        let plan = MemoryPlan(
            steps: assembly.steps.map { ($0.reads + $0.writes).map(\.buffer) }, sizes: sizes,
            shared: assembly.steps.map(\.inPlace))
        for (index, offset) in plan.offsets { assembly.buffers[index].place = .workspace(offset: offset) }
        assembly.workspaceBytes = plan.byteCount
        try checkMemory(
            assembly.workspaceBytes + assembly.scratchBytes + assembly.rooms.map(\.byteCount).reduce(0, +))
    }

    /// Refuses what this machine cannot hold, before the system ends the process for it.
    func checkMemory(_ needed: Int) throws {
        guard needed > 1 << 28 else { return }
        let available = Int(mk_available_memory())
        guard needed <= available else {
            throw Failure(
                .outOfMemory,
                "A run of '\(function.name)' needs \(needed >> 20) MiB for intermediate values and results; "
                    + "this machine has \(available >> 20) MiB to give.")
        }
    }
}
