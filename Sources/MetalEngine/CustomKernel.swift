#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import Metal
    import MetalPerformanceShadersGraph
    import Runtime
    import Synchronization

    /// Compiled kernels by their source and name.
    final class KernelCache: Sendable {
        private let device: any MTLDevice
        private let pipelines = Mutex<[Key: any MTLComputePipelineState]>([:])
        /// More kernels than this are not kept at a time.
        private static let most = 256

        private struct Key: Hashable {
            let source: String
            let function: String
        }

        init(_ device: any MTLDevice) { self.device = device }

        /// The kernel ready to run; compiled when it is first asked for.
        func pipeline(_ kernel: MetalKernel) throws -> any MTLComputePipelineState {
            try pipelines.withLock { pipelines in
                let key = Key(source: kernel.source, function: kernel.function)
                if let known = pipelines[key] { return known }
                let pipeline = try compile(kernel)
                if pipelines.count >= KernelCache.most { pipelines = [:] }
                pipelines[key] = pipeline
                return pipeline
            }
        }

        private func compile(_ kernel: MetalKernel) throws -> any MTLComputePipelineState {
            let options = MTLCompileOptions()
            // The CPU computes as IEEE 754 says, and the two shall agree.
            options.mathMode = .safe
            do {
                let library = try device.makeLibrary(source: kernel.source, options: options)
                guard let function = library.makeFunction(name: kernel.function) else {
                    let names = library.functionNames.map { "'\($0)'" }.joined(separator: ", ")
                    throw Failure(
                        .malformed, "The source has no kernel '\(kernel.function)'; there are \(names).")
                }
                return try device.makeComputePipelineState(function: function)
            } catch let failure as Failure {
                throw failure
            } catch {
                let isWrong = (error as? MTLLibraryError)?.code == .compileFailure
                throw Failure(
                    isWrong ? .malformed : .unsupported,
                    "Metal does not compile the kernel '\(kernel.function)': \(error.localizedDescription)")
            }
        }
    }

    /// A custom op with a kernel of its own.
    struct KernelStep: MetalStep {
        let reads: [ValueID]
        let writes: [(id: ValueID, type: TensorType)]
        let plan: Plan.Step
        private let pipeline: any MTLComputePipelineState
        private let launch: MetalKernel.Launch
        /// What is bound to each index.
        private let bindings: [Binding]

        fileprivate enum Binding: Sendable {
            case value(ValueID)
            /// Elements that are known before the run.
            case memory(MetalBuffer)
            /// A number by value.
            case number(UInt32)
        }

        /// nil for an operation that is no custom op.
        init?(_ operation: MIL.Operation, in function: Function, on gpu: GPU) throws {
            let call = try Call(operation, in: function)
            guard let custom = call.op.custom else { return nil }
            if let reason = call.kernelRefusal { throw Failure(.unsupported, "\(call.place): \(reason)") }
            guard let kernel = custom.metal else { return nil }
            writes = try operation.outputs.map { ($0, try function.tensorType($0)) }
            launch = try kernel.launch(writes.map(\.type), in: Extent.Scope(call))
            pipeline = try gpu.kernels.pipeline(kernel)
            let launch = launch
            bindings = try kernel.buffers.enumerated().map { index, buffer in
                switch buffer {
                case .input(let name): try Binding(name, call, gpu)
                case .output(let number): .value(operation.outputs[number])
                case .size: .number(launch.sizes[index] ?? 0)
                }
            }
            reads = bindings.compactMap { if case .value(let id) = $0 { id } else { nil } }
                .filter { !operation.outputs.contains($0) }
            plan = Plan.Step(
                ops: [operation.op], output: function[operation.outputs[0]].name, type: writes[0].type,
                kernel: "metal kernel", reason: "the source that the op brings",
                bytes: (reads + operation.outputs).compactMap { function[$0].type.tensor?.byteCount }.reduce(0, +))
            try check(kernel, gpu.device)
        }

        /// Fails where the threadgroup is larger than this kernel can have on this GPU.
        private func check(_ kernel: MetalKernel, _ device: any MTLDevice) throws {
            func wrong(_ what: String) -> Failure {
                Failure(.invalidArgument, "The kernel '\(kernel.function)' \(what).")
            }
            let (group, most) = (launch.threadgroup, device.maxThreadsPerThreadgroup)
            guard let threads = group.count, threads <= pipeline.maxTotalThreadsPerThreadgroup,
                group.x <= most.width, group.y <= most.height, group.z <= most.depth
            else {
                throw wrong(
                    "asks for threadgroups of \(group); it may have \(pipeline.maxTotalThreadsPerThreadgroup) threads")
            }
            let bytes = launch.memory.values.reduce(pipeline.staticThreadgroupMemoryLength, +)
            guard bytes <= device.maxThreadgroupMemoryLength else {
                throw wrong(
                    "takes \(bytes) bytes of threadgroup memory; this GPU has \(device.maxThreadgroupMemoryLength)")
            }
        }

        func encode(into commands: MPSCommandBuffer, _ values: MetalValues) throws {
            // A kernel finds zeros, so that it may add up in place; nothing else uses this memory yet.
            for (id, type) in writes {
                values[id]?.contents.initializeMemory(as: UInt8.self, repeating: 0, count: type.byteCount)
            }
            guard !launch.isEmpty else { return }
            guard let encoder = commands.makeComputeCommandEncoder() else {
                throw Failure(.unsupported, "Metal has no encoder to give.")
            }
            defer { encoder.endEncoding() }
            encoder.setComputePipelineState(pipeline)
            for (index, binding) in bindings.enumerated() { try binding.bind(to: encoder, at: index, values) }
            for (index, bytes) in launch.memory { encoder.setThreadgroupMemoryLength(bytes, index: index) }
            if launch.countsThreads {
                encoder.dispatchThreads(MTLSize(launch.grid), threadsPerThreadgroup: MTLSize(launch.threadgroup))
            } else {
                encoder.dispatchThreadgroups(MTLSize(launch.grid), threadsPerThreadgroup: MTLSize(launch.threadgroup))
            }
        }
    }

    extension KernelStep.Binding {
        /// What a parameter brings: a value of the run, a constant, or its default.
        fileprivate init(_ name: String, _ call: Call, _ gpu: GPU) throws {
            if let constant = call.constant(name) {
                self = .memory(try gpu.memory.copy(of: constant))
            } else {
                self = .value(try call.id(name))
            }
        }

        fileprivate func bind(to encoder: any MTLComputeCommandEncoder, at index: Int, _ values: MetalValues) throws {
            switch self {
            case .memory(let memory): encoder.setBuffer(memory.buffer, offset: 0, index: index)
            case .number(var number): encoder.setBytes(&number, length: MemoryLayout<UInt32>.size, index: index)
            case .value(let id):
                guard let memory = values[id] else { throw Failure(.bug, "A value of a kernel has no memory.") }
                encoder.setBuffer(memory.buffer, offset: 0, index: index)
            }
        }
    }

    extension MTLSize {
        fileprivate init(_ size: GridSize) { self.init(width: size.x, height: size.y, depth: size.z) }
    }

    extension Call {
        /// Why a custom op does not run on the GPU; nil where it does.
        var kernelRefusal: String? {
            guard op.custom?.metal != nil else {
                return "The custom op '\(op.name)' has no Metal kernel; it runs where its callback runs."
            }
            for argument in operation.arguments {
                for id in argument.values {
                    guard let type = function[id].type.tensor else { return "'\(argument.name)' is no tensor." }
                    if let reason = Lowering.refusal(of: type, .graphAndComplex, argument.name) { return reason }
                }
            }
            for id in operation.outputs {
                guard let type = function[id].type.tensor else { return "'\(function[id].name)' is no tensor." }
                if let reason = Lowering.refusal(of: type, .graphAndComplex, function[id].name) { return reason }
            }
            return nil
        }
    }
#endif
