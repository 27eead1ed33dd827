import MIL
import ModelFiles
import Passes
import Runtime

#if canImport(CoreML)
    import CoreML
#endif

/// Apple's Core ML: all its processors together, or one kind beside the CPU, which Core ML falls back to by itself.
public struct CoreMLDevice: Device {
    public static let all: [any Device] = Processors.allCases.map(CoreMLDevice.init)

    /// What Core ML may use.
    public enum Processors: String, Sendable, CaseIterable {
        case all = "coreml"
        case cpu = "coreml:cpu"
        case gpu = "coreml:gpu"
        case neuralEngine = "coreml:ane"
    }

    public let processors: Processors

    public init(_ processors: Processors) { self.processors = processors }

    public var name: String { processors.rawValue }
    public let kind = DeviceKind.coreml

    /// Bytes of the memory that all of Apple's processors share; nil without Core ML.
    public var memoryLimit: Int? {
        #if canImport(Darwin)
            var bytes: UInt64 = 0
            var size = MemoryLayout<UInt64>.size
            return sysctlbyname("hw.memsize", &bytes, &size, nil, 0) == 0 ? Int(clamping: bytes) : nil
        #else
            return nil
        #endif
    }

    /// Processors that Core ML may use: CPU, GPU and Neural Engine count as one each; nil without Core ML.
    public var computeUnits: Int? {
        #if canImport(CoreML)
            return autoreleasepool { MLModel.availableComputeDevices.count { isMine($0) } }
        #else
            return nil
        #endif
    }

    public var summary: String {
        switch processors {
        case .all: "Core ML on the processors it chooses"
        case .cpu: "Core ML on the CPU"
        case .gpu: "Core ML on the GPU"
        case .neuralEngine: "Core ML on the Neural Engine"
        }
    }

    /// An operation is taken as it stands, or said with others that are.
    public func assess(_ call: Call) -> Verdict {
        guard let reason = CoreMLRules.refusal(of: call) else { return .native }
        guard call.op.expansion != nil else { return .refused(reason: reason) }
        do {
            var function = try call.alone()
            try function.sayInCoreML()
            return .expands
        } catch {
            return .refused(reason: "\(reason) Said with other ops: \(error)")
        }
    }

    public func compile(_ function: Function) throws -> any Executable { try compile(function, keeping: nil) }

    #if canImport(CoreML)
        public var availability: Availability {
            autoreleasepool { MLModel.availableComputeDevices.contains(where: isMine) }
                ? .available : .unavailable(reason: "This machine has no such processor that Core ML can use.")
        }

        private func isMine(_ device: MLComputeDevice) -> Bool {
            switch (processors, device) {
            case (.all, _), (.cpu, .cpu), (.gpu, .gpu), (.neuralEngine, .neuralEngine): true
            default: false
            }
        }

        private var units: MLComputeUnits {
            switch processors {
            case .all: .all
            case .cpu: .cpuOnly
            case .gpu: .cpuAndGPU
            case .neuralEngine: .cpuAndNeuralEngine
            }
        }

        public func compile(_ function: Function, keeping disk: DiskCache?) throws -> any Executable {
            let wrapped = try CoreMLFunction(function)
            let model = try CompiledModels(units: units, disk: disk).load(wrapped.function.digest) { folder in
                let path = folder + "/model.mlpackage"
                try writeModel(wrapped.model, to: path)
                return path
            }
            return CoreMLExecutable(
                model: model, features: (wrapped.inputs, wrapped.outputs), states: [],
                computePlan: ComputePlan(name, model, wrapped.function, titles: wrapped.titles))
        }

        public func open(
            _ source: ModelSource, _ function: Function, _ interface: Interface, keeping disk: DiskCache?
        ) throws -> (any Executable)? {
            guard source.isCurrent else {
                throw Failure(.unsupported, "'\(source.path)' was written after it was read.")
            }
            let bind = { try BoundFeature($0, interface.classifier, in: function) }
            let features = (try interface.inputs.map(bind), try interface.outputs.map(bind))
            let states = interface.states.map { Port(name: $0.name, type: $0.stateType) }
            let other = function.name == source.defaultFunction ? nil : function.name
            let model = try CompiledModels(units: units, disk: disk).load(source.digest(keeping: disk), function: other)
            {
                _ in source.path
            }
            return CoreMLExecutable(
                model: model, features: features, states: states, computePlan: ComputePlan(name, model, function))
        }
    #else
        public var availability: Availability { .unavailable(reason: CoreMLDevice.absence) }
        private static let absence = "Core ML exists only on Apple's systems."

        public func compile(_ function: Function, keeping disk: DiskCache?) throws -> any Executable {
            throw Failure(.unsupported, CoreMLDevice.absence)
        }
    #endif
}

#if canImport(CoreML)
    extension ModelSource {
        /// Files from this size on are not read again to find what was made from them.
        private static let large = 16 << 20

        /// A hash of the files. For large ones the cache keeps it, by what changes whenever a file is written.
        func digest(keeping disk: DiskCache?) throws -> String {
            let contents = try coreML {
                try files.map { try Data(contentsOf: URL(fileURLWithPath: $0), options: .alwaysMapped) }
            }
            guard let disk, contents.reduce(0, { $0 + $1.count }) >= ModelSource.large else {
                return digest(of: contents)
            }
            // What cannot be kept, or was damaged, is found once more.
            let entry = try? disk.entry(for: "digest-" + SHA256.hexadecimal(of: version)) { folder in
                try Data(digest(of: contents).utf8).write(to: URL(fileURLWithPath: folder + "/digest"))
            }
            let kept = entry.flatMap { try? String(contentsOfFile: $0.path + "/digest", encoding: .utf8) }
            return kept ?? digest(of: contents)
        }

        private func digest(of contents: [Data]) -> String {
            var hash = SHA256()
            for content in contents {
                withUnsafeBytes(of: UInt64(content.count).littleEndian) { hash.update($0) }
                content.withUnsafeBytes { hash.update($0) }
            }
            return SHA256.hexadecimal(hash.finished())
        }
    }

    extension Feature {
        fileprivate var stateType: TensorType {
            if case .state(let array) = kind { TensorType(array.dtype, array.shape) } else { TensorType(.float16, []) }
        }
    }
#endif
