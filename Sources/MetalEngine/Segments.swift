#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL

    /// A function cut where a custom kernel stands between operations of the graph.
    struct Segments {
        private let function: Function
        private var runs: [[MIL.Operation]] = []

        init(_ function: Function) {
            self.function = function
            for operation in function.operations {
                let isKernel = OpTable[operation.op]?.custom != nil
                if let last = runs.last?.last, !isKernel, OpTable[last.op]?.custom == nil {
                    runs[runs.count - 1].append(operation)
                } else {
                    runs.append([operation])
                }
            }
        }

        /// The steps, each compiled.
        func steps(on gpu: GPU) throws -> [any MetalStep] {
            try runs.enumerated().map { index, operations in
                if let kernel = try KernelStep(operations[0], in: function, on: gpu) { return kernel }
                let needed = neededAfter(index)
                let writes = operations.flatMap(\.outputs).filter(needed.contains)
                return try GraphStep(operations, in: function, writes: writes, on: gpu)
            }
        }

        /// The values that later steps read, and the function's results.
        private func neededAfter(_ index: Int) -> Set<ValueID> {
            runs[(index + 1)...].joined().reduce(into: Set(function.outputs)) { $0.formUnion($1.inputs) }
        }
    }
#endif
