#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import Metal
    import MetalPerformanceShadersGraph
    import Runtime
    import Synchronization

    /// Operations that became one compiled graph.
    final class GraphStep: MetalStep {
        let reads: [ValueID]
        let writes: [(id: ValueID, type: TensorType)]
        let plan: Plan.Step
        private let executable: MPSGraphExecutable
        /// Apple does not say that one executable may be encoded by two threads at a time.
        private let encoding = Mutex(())
        /// What the executable takes and gives, in its order, which is not ours.
        private let feeds: [Slot]
        private let targets: [Slot]

        /// A value in the form that the graph knows.
        private struct Slot: Sendable {
            let id: ValueID
            let shape: [Int]
            let dataType: MPSDataType

            func data(_ values: MetalValues) throws -> MPSGraphTensorData {
                guard let memory = values[id] else { throw Failure(.bug, "A value of the graph has no memory.") }
                return MPSGraphTensorData(memory.buffer, shape: shape.map(NSNumber.init(value:)), dataType: dataType)
            }
        }

        init(_ operations: [MIL.Operation], in function: Function, writes: [ValueID], on gpu: GPU) throws {
            let made = Set(operations.flatMap(\.outputs))
            var reads: [ValueID] = []
            for id in operations.flatMap(\.inputs)
            where function[id].constant == nil && !made.contains(id) && !reads.contains(id) { reads.append(id) }

            let builder = GraphBuilder(function)
            for id in reads { try builder.feed(id) }
            for operation in operations { try builder.append(operation) }
            var targets: [MPSGraphTensor] = []
            for id in writes { targets.append(try builder.target(id, besides: targets)) }

            executable = builder.compile(targets, for: gpu.device)
            feeds = try GraphStep.slots(executable.feedTensors, builder.placeholders, reads)
            self.targets = try GraphStep.slots(executable.targetTensors, targets, writes)
            self.reads = reads
            self.writes = try writes.map { ($0, try function.tensorType($0)) }
            plan = try GraphStep.plan(operations, in: function, reads, writes)
        }

        /// The values of the executable's tensors in the executable's order; in ours where it does not tell.
        private static func slots(
            _ tensors: [MPSGraphTensor]?, _ known: [MPSGraphTensor], _ ids: [ValueID]
        ) throws -> [Slot] {
            try (tensors ?? known).map { tensor in
                guard let index = known.firstIndex(of: tensor), let shape = known[index].shape else {
                    throw Failure(.unsupported, "MPSGraph compiled a graph with tensors that it was not given.")
                }
                return Slot(id: ids[index], shape: shape.map(\.intValue), dataType: known[index].dataType)
            }
        }

        private static func plan(
            _ operations: [MIL.Operation], in function: Function, _ reads: [ValueID], _ writes: [ValueID]
        ) throws -> Plan.Step {
            let first = writes.first ?? operations[0].outputs[0]
            let bytes = (reads + writes).compactMap { function[$0].type.tensor?.byteCount }.reduce(0, +)
            var step = Plan.Step(
                ops: operations.map(\.op), output: function[first].name, type: try function.tensorType(first),
                kernel: "graph", reason: "compiled by MPSGraph for the GPU alone", bytes: bytes)
            step.isGraph = true
            return step
        }

        func encode(into commands: MPSCommandBuffer, _ values: MetalValues) throws {
            let inputs = try feeds.map { try $0.data(values) }
            let results = try targets.map { try $0.data(values) }
            encoding.withLock { _ in
                _ = executable.encode(to: commands, inputs: inputs, results: results, executionDescriptor: nil)
            }
        }
    }

    extension GraphBuilder {
        /// The graph compiled for the GPU alone: a higher level might place parts elsewhere, and what we say would be untrue.
        fileprivate func compile(_ targets: [MPSGraphTensor], for device: any MTLDevice) -> MPSGraphExecutable {
            let descriptor = MPSGraphCompilationDescriptor()
            descriptor.optimizationLevel = .level0
            descriptor.waitForCompilationCompletion = true
            let types = placeholders.map { ($0, MPSGraphShapedType(shape: $0.shape, dataType: $0.dataType)) }
            return graph.compile(
                with: MPSGraphDevice(mtlDevice: device), feeds: Dictionary(uniqueKeysWithValues: types),
                targetTensors: targets, targetOperations: nil, compilationDescriptor: descriptor)
        }
    }
#endif
