#if canImport(CoreML)
    import CoreML
    import MIL
    import Runtime
    import Synchronization

    /// Where Core ML plans to run each operation of a model. Core ML is asked once, when the plan is first read.
    final class ComputePlan: Sendable {
        let device: String
        private let model: LoadedModel
        private let function: Function
        /// What the values of the file are called on our side, where that differs.
        private let titles: [String: String]
        private let steps = Mutex<[Plan.Step]?>(nil)

        init(_ device: String, _ model: LoadedModel, _ function: Function, titles: [String: String] = [:]) {
            (self.device, self.model, self.function, self.titles) = (device, model, function, titles)
        }

        var plan: Plan {
            let steps = steps.withLock { steps in
                let known = steps ?? read()
                steps = known
                return known
            }
            return Plan(device: device, steps: steps, workspaceBytes: 0, packedBytes: 0)
        }

        /// The constants and, for the operations, what they take by estimate; Core ML tells nothing of it, and its plan takes
        /// long to make.
        var footprint: Int {
            function.values.reduce(4096 + function.operations.count * 1024) { sum, value in
                sum &+ (value.constant?.type.byteCount ?? 0)
            }
        }

        private func read() -> [Plan.Step] {
            do { return try planned() } catch {
                return [whole(because: (error as? Failure)?.message ?? error.localizedDescription)]
            }
        }

        private func planned() throws -> [Plan.Step] {
            let model = model
            let function = model.configuration.functionName ?? function.name
            return try awaited { (handler: @escaping @Sendable (Result<[Plan.Step], any Error>) -> Void) in
                Task.detached(executorPreference: OwnThread.shared) {
                    do {
                        let plan = try await MLComputePlan.load(
                            contentsOf: model.url, configuration: model.configuration)
                        handler(Result { try self.steps(of: plan, function) })
                    } catch {
                        handler(.failure(error))
                    }
                }
            }
        }

        private func steps(of plan: MLComputePlan, _ name: String) throws -> [Plan.Step] {
            guard case .program(let program) = plan.modelStructure, let found = program.functions[name] else {
                throw Failure(.unsupported, "its plan does not list the function '\(name)'")
            }
            let types = Dictionary(function.values.map { ($0.name, $0.type) }) { first, _ in first }
            return found.block.operations.compactMap { operation in
                guard let usage = plan.deviceUsage(for: operation), let output = operation.outputs.first?.name else {
                    return nil
                }
                // What the file makes for the app alone, such as a label, is no value of the program.
                let type = types[output]?.tensor ?? TensorType(.string, [])
                let op = operation.operatorName.split(separator: ".").last.map(String.init) ?? operation.operatorName
                var step = Plan.Step(
                    ops: [op], output: titles[output] ?? output, type: type, kernel: "Core ML",
                    reason: ComputePlan.reason(usage, plan.estimatedCost(of: operation)))
                (step.processor, step.known) = (usage.preferred.title, .planned)
                return step
            }
        }

        private static func reason(_ usage: MLComputePlan.DeviceUsage, _ cost: MLComputePlan.Cost?) -> String {
            let supported = usage.supported.map(\.title).sorted().joined(separator: ", ")
            let parts = cost.flatMap { Int(exactly: ($0.weight * 1000).rounded()) }
            let share = parts.map { "; estimated at \(Double($0) / 10) % of the whole" } ?? ""
            return "preferred among \(supported)\(share)"
        }

        /// The model as one step, where nothing more is known.
        private func whole(because reason: String) -> Plan.Step {
            let output = function.outputs[0]
            let name = function[output].name
            return Plan.Step(
                ops: function.operations.map(\.op), output: titles[name] ?? name,
                type: function[output].type.tensor ?? TensorType(.string, []), kernel: "Core ML",
                reason: "given to Core ML as a whole; where each operation runs is not known: \(reason)")
        }
    }

    /// Runs tasks apart from Swift's own threads, all of which may be waiting for a plan.
    private final class OwnThread: TaskExecutor {
        static let shared = OwnThread()
        private let queue = DispatchQueue(label: "martlet.coreml")

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    extension MLComputeDevice {
        var title: String {
            switch self {
            case .cpu: "CPU"
            case .gpu: "GPU"
            case .neuralEngine: "Neural Engine"
            @unknown default: "another processor"
            }
        }
    }
#endif
