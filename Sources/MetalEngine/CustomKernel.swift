#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import Metal
    import MetalPerformanceShadersGraph
    import Runtime

    /// Compiled kernels by source and function.
    final class KernelCache: Sendable {
        private let device: any MTLDevice

        init(_ device: any MTLDevice) { self.device = device }
    }

    /// A custom op with a kernel of its own.
    struct KernelStep: MetalStep {
        let reads: [ValueID]
        let writes: [(id: ValueID, type: TensorType)]
        let plan: Plan.Step

        /// nil for an operation that is no custom op.
        init?(_ operation: MIL.Operation, in function: Function, on gpu: GPU) throws {
            let call = try Call(operation, in: function)
            guard call.op.custom != nil else { return nil }
            throw Failure(.unsupported, "\(call.place): \(call.kernelRefusal ?? "")")
        }

        func encode(into commands: MPSCommandBuffer, _ values: MetalValues) throws {}
    }

    extension Call {
        /// Why a custom op does not run on the GPU; nil where it does.
        var kernelRefusal: String? {
            "The custom op '\(op.name)' has no Metal kernel; it runs where its callback runs."
        }
    }
#endif
