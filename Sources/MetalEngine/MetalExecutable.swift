#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import Metal
    import MetalPerformanceShadersGraph
    import Runtime

    /// The memory of the values that steps hand to each other during one run.
    typealias MetalValues = [ValueID: MetalBuffer]

    /// A part of a function that the GPU does at one go: a compiled graph, or a kernel.
    protocol MetalStep: Sendable {
        /// The values it writes, with their types.
        var writes: [(id: ValueID, type: TensorType)] { get }
        /// The values it reads.
        var reads: [ValueID] { get }
        var plan: Plan.Step { get }

        /// Adds the work to a command buffer.
        func encode(into commands: MPSCommandBuffer, _ values: MetalValues) throws
    }

    /// A function compiled for the GPU: graphs, and kernels between them.
    final class MetalExecutable: Executable {
        let inputs: [Runtime.Port]
        let outputs: [Runtime.Port]
        let plan: Plan
        private let name: String
        private let gpu: GPU
        private let steps: [any MetalStep]
        /// The inputs that a step reads, by position, and what they are called.
        private let fed: [(position: Int, id: ValueID)]
        private let written: [(id: ValueID, type: TensorType)]
        private let results: [Result]

        /// Where a result comes from.
        private enum Result: Sendable {
            case step(ValueID)
            case input(Int)
            case constant(Tensor)
        }

        init(_ function: Function, on gpu: GPU) throws {
            func ports(_ ids: [ValueID]) throws -> [Runtime.Port] {
                try ids.map { Runtime.Port(name: function[$0].name, type: try function.tensorType($0)) }
            }
            name = function.name
            self.gpu = gpu
            inputs = try ports(function.inputs)
            outputs = try ports(function.outputs)
            steps = try Segments(function).steps(on: gpu)
            written = steps.flatMap(\.writes)
            results = function.outputs.map { id in
                if let position = function.inputs.firstIndex(of: id) { return .input(position) }
                return function[id].constant.map { .constant($0) } ?? .step(id)
            }
            let read = Set(steps.flatMap(\.reads))
            fed = function.inputs.enumerated().filter { read.contains($1) }.map { ($0, $1) }
            let bytes = written.map(\.type.byteCount).reduce(0, +)
            plan = Plan(device: "metal", steps: steps.map(\.plan), workspaceBytes: bytes, packedBytes: 0)
            try checkMemory(bytes)
        }

        /// Fails where the GPU could not hold what the run needs at the least.
        private func checkMemory(_ written: Int) throws {
            let needed = fed.map { inputs[$0.position].type.byteCount }.reduce(written, +)
            let most = Int(clamping: gpu.device.recommendedMaxWorkingSetSize)
            guard needed <= most else {
                throw Failure(
                    .outOfMemory,
                    "A run of '\(name)' needs \(needed >> 20) MiB; the GPU works with \(most >> 20) MiB.")
            }
        }

        func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
            try check(inputs)
            return try autoreleasepool {
                let values = try bind(inputs)
                if let observer {
                    try observe(values, observer)
                } else {
                    try gpu.run(steps, on: values)
                }
                return try zip(results, outputs).map { try tensor($0, $1.type, values, inputs) }
            }
        }

        private func check(_ inputs: [Tensor]) throws {
            guard inputs.count == self.inputs.count else {
                throw Failure(.invalidArgument, "The function takes \(self.inputs.count) inputs, not \(inputs.count).")
            }
            for (tensor, port) in zip(inputs, self.inputs) where tensor.type != port.type {
                throw Failure(
                    tensor.dtype == port.type.dtype ? .invalidArgument : .wrongType,
                    "The input '\(port.name)' is a \(tensor.type); it must be a \(port.type).")
            }
        }

        /// Memory for everything that a step reads or writes.
        private func bind(_ inputs: [Tensor]) throws -> MetalValues {
            var values: MetalValues = [:]
            for (position, id) in fed { values[id] = try gpu.memory.buffer(for: inputs[position]) }
            for (id, type) in written { values[id] = try gpu.memory.take(type.byteCount) }
            return values
        }

        private func observe(_ values: MetalValues, _ observer: Observer) throws {
            for (index, step) in steps.enumerated() {
                let start = nanoseconds()
                try gpu.run([step], on: values)
                observer(index, nanoseconds() &- start) {
                    guard let first = step.writes.first else { return nil }
                    return try? values[first.id]?.tensor(first.type)
                }
            }
        }

        private func tensor(
            _ result: Result, _ type: TensorType, _ values: MetalValues, _ inputs: [Tensor]
        ) throws -> Tensor {
            switch result {
            case .input(let position): return try inputs[position].copied()
            case .constant(let constant): return try constant.copied()
            case .step(let id):
                guard let buffer = values[id] else { throw Failure(.bug, "A result of '\(name)' has no memory.") }
                return try buffer.tensor(type)
            }
        }
    }

    extension Tensor {
        /// The same elements in memory of their own: inputs may lie in memory that the caller writes again.
        fileprivate func copied() throws -> Tensor {
            if dtype == .string { return self }
            let copy = try Tensor(uninitialized: type)
            copy.pointer.copyMemory(from: pointer, byteCount: type.byteCount)
            return copy
        }
    }
#endif
