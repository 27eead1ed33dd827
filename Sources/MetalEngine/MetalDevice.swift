import MIL
import Runtime

#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Metal
#endif

/// The GPU of Apple's systems. Programs run there as compiled graphs of MPSGraph, custom ops as kernels of their own.
public struct MetalDevice: Device {
    public static let all: [any Device] = [MetalDevice()]

    public let name = "metal"
    public let kind = DeviceKind.metal
}

#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    extension MetalDevice {
        /// Bytes that the GPU works with well; nil without a GPU.
        public var memoryLimit: Int? {
            MTLCreateSystemDefaultDevice().map { Int(clamping: $0.recommendedMaxWorkingSetSize) }
        }

        public var summary: String {
            guard let device = MTLCreateSystemDefaultDevice() else { return "GPU through Metal" }
            return
                "GPU \(device.name) through Metal, \(device.hasUnifiedMemory ? "memory shared with the CPU" : "memory of its own")"
        }

        public var availability: Availability {
            MTLCreateSystemDefaultDevice() == nil
                ? .unavailable(reason: "This machine has no GPU that Metal can use.") : .available
        }

        public func assess(_ call: Call) -> Verdict {
            guard let refusal = call.graphRefusal else { return .native }
            guard call.op.expansion != nil, call.isHeld, call.operation.blocks.isEmpty else {
                return .refused(reason: refusal)
            }
            return call.expandedRefusal.map { .refused(reason: $0) } ?? .expands
        }

        public func compile(_ function: Function) throws -> any Executable {
            var ready = function
            // Apple's objects that live until a pool ends would pile up in threads that never end one.
            return try autoreleasepool {
                let gpu = try GPU.current()
                try ready.expandForGraph()
                try ready.foldConstants { try fold($0) }
                ready.removeDead()
                return try MetalExecutable(ready, on: gpu)
            }
        }

        /// Integers that may determine sizes and axes are computed now; all else is left to the graph.
        private func fold(_ call: Call) throws -> [Tensor] {
            let function = try call.alone()
            let types = try function.outputs.map(function.tensorType)
            guard types.allSatisfy({ $0.dtype.isInteger && $0.isFixed && $0.count <= MetalDevice.mostFolded }) else {
                throw Failure(.unsupported, "Only a few integers are computed before the run.")
            }
            return try MetalExecutable(function, on: GPU.current()).run([])
        }

        /// Sizes, axes and positions that are computed before the run are no more than this.
        private static let mostFolded = 1024
    }

    extension Call {
        /// Why the graph does not hold the operation as it is; nil where it does.
        var graphRefusal: String? {
            guard operation.blocks.isEmpty else { return "MPSGraph runs no '\(op.name)' of ours, which holds blocks." }
            if op.custom != nil { return kernelRefusal }
            // Shapes are known before the run.
            if op.name == "shape" { return nil }
            guard let lowering = MetalLowerings[op.name] else { return "MPSGraph has no operation for '\(op.name)'." }
            return lowering.refuses(self)
        }

        /// Whether the graph has the element types that it takes and gives: if not, no expansion helps.
        fileprivate var isHeld: Bool {
            (operation.inputs + operation.outputs).allSatisfy { id in
                guard let dtype = function[id].type.tensor?.dtype, function[id].constant == nil else { return true }
                return Set.graphAndComplex.contains(dtype)
            }
        }

        /// Why the operations that it expands into do not all run; nil where they do.
        fileprivate var expandedRefusal: String? {
            do {
                var function = try alone()
                try function.expandForGraph()
                for operation in function.operations {
                    if let refusal = try Call(operation, in: function).graphRefusal { return refusal }
                }
                return nil
            } catch { return "\(error)" }
        }
    }

    extension Function {
        /// Says with simpler ops what the graph does not hold as it is.
        fileprivate mutating func expandForGraph() throws {
            do {
                try expand { operation, function in
                    (try? Call(operation, in: function)).map { $0.graphRefusal != nil && $0.isHeld } ?? false
                }
            } catch let failure as Failure {
                // An expansion for other types than these: the op is right, and not for this device.
                throw Failure(.unsupported, "MPSGraph lacks an op, and what it expands into fails: \(failure.message)")
            }
        }
    }
#else
    extension MetalDevice {
        private static let absence = "Metal exists only on Apple's systems."

        public var summary: String { "GPU through Metal" }
        public var availability: Availability { .unavailable(reason: MetalDevice.absence) }
        public func assess(_ call: Call) -> Verdict { .refused(reason: MetalDevice.absence) }
        public func compile(_ function: Function) throws -> any Executable {
            throw Failure(.unsupported, MetalDevice.absence)
        }
    }
#endif
