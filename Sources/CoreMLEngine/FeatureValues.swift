#if canImport(CoreML)
    import CoreML
    import MIL

    /// Inputs given to Core ML where they lie, and outputs taken from where it left them.
    extension BoundFeature {
        func value(of tensor: Tensor) throws -> MLFeatureValue {
            try check(tensor)
            switch form {
            case .image(let colors): return MLFeatureValue(pixelBuffer: try Pixels(colors).buffer(of: tensor, name))
            case .array(let type):
                // What is open in the type has the tensor's size.
                let shape = type.rank == tensor.type.rank ? tensor.shape : type.shape
                return MLFeatureValue(
                    multiArray: try MLMultiArray(over: tensor.carried(as: TensorType(type.dtype, shape))))
            case .label, .probabilities: throw Failure(.bug, "'\(name)' is no input.")
            }
        }

        /// Memory that Core ML may write the output to; nil where its type or size is not known.
        func backing() throws -> OutputBacking? {
            // A lone number is not worth it: Core ML need not have the same rank in mind.
            guard case .array(let type) = form, type.isFixed, type.rank == port.type.rank else { return nil }
            return try OutputBacking(Tensor(uninitialized: type))
        }

        func tensor(of value: MLFeatureValue?, _ backing: OutputBacking?) throws -> Tensor {
            if let array = value?.multiArrayValue {
                let tensor = array === backing?.array ? backing?.tensor : nil
                return try (tensor ?? array.tensor()).given(as: port.type)
            }
            if let buffer = value?.imageBufferValue, case .image(let colors) = form {
                return try Pixels(colors).tensor(of: buffer, as: port.type.dtype)
            }
            guard let value, !value.isUndefined else {
                throw Failure(.unsupported, "Core ML: The prediction gave no '\(name)'.")
            }
            if case .probabilities(let labels) = form { return try probabilities(value.dictionaryValue, labels) }
            return port.type.dtype == .string ? Tensor(value.stringValue) : Tensor(value.int64Value)
        }

        private func probabilities(_ values: [AnyHashable: NSNumber], _ labels: Interface.Labels) throws -> Tensor {
            let numbers: [Double]
            switch labels {
            case .strings(let names): numbers = names.map { (values[$0] ?? 0).doubleValue }
            case .integers(let keys):
                let known = Dictionary(values.map { ($0.wholeNumber, $1.doubleValue) }) { first, _ in first }
                numbers = keys.map { known[$0] ?? 0 }
            }
            let shape = port.type.isFixed ? port.type.shape : [1, numbers.count]
            return Tensor(numbers, dtype: port.type.dtype, shape: shape)
        }
    }

    extension AnyHashable {
        /// The integer of a key, which is an `NSNumber` or what Swift bridges it to; nil for other keys.
        fileprivate var wholeNumber: Int? {
            (base as? Int) ?? (base as? Int64).map(Int.init) ?? (base as? NSNumber)?.intValue
        }
    }

    /// Memory of our own that is proposed for an output.
    struct OutputBacking {
        let tensor: Tensor
        let array: MLMultiArray

        init(_ tensor: Tensor) throws {
            self.tensor = tensor
            array = try MLMultiArray(over: tensor)
        }
    }

    extension MLMultiArray {
        private static let types: [(DataType, MLMultiArrayDataType)] = [
            (.float16, .float16), (.float32, .float32), (.float64, .double), (.int32, .int32),
        ]

        /// An array over a tensor's memory, which it holds.
        convenience init(over tensor: Tensor) throws {
            guard let type = MLMultiArray.types.first(where: { $0.0 == tensor.dtype })?.1 else {
                throw Failure(.unsupported, "Core ML has no multi-arrays of \(tensor.dtype.name).")
            }
            let storage = tensor.storage
            try self.init(
                dataPointer: tensor.pointer, shape: tensor.shape.map(NSNumber.init(value:)), dataType: type,
                strides: StridedCopy.packed(tensor.shape).map(NSNumber.init(value:)),
                deallocator: { _ in withExtendedLifetime(storage) {} })
        }

        /// A copy of the elements in row-major order, whatever the strides.
        func tensor() throws -> Tensor {
            guard let dtype = MLMultiArray.types.first(where: { $0.1 == dataType })?.0 else {
                throw Failure(.unsupported, "Core ML gave a multi-array of an unknown element type.")
            }
            let tensor = try Tensor(uninitialized: TensorType(dtype, shape.map(\.intValue)))
            let copy = StridedCopy(shape: tensor.shape, size: dtype.size)
            withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                copy.run(from: base, strides.map(\.intValue), to: tensor.pointer, StridedCopy.packed(tensor.shape))
            }
            return tensor
        }

        /// Writes a tensor's elements into the array, whatever the strides.
        func take(_ tensor: Tensor) {
            let copy = StridedCopy(shape: tensor.shape, size: tensor.dtype.size)
            withUnsafeMutableBytes { bytes, strides in
                guard let base = bytes.baseAddress else { return }
                copy.run(from: tensor.pointer, StridedCopy.packed(tensor.shape), to: base, strides)
            }
            withExtendedLifetime(tensor) {}
        }
    }
#endif
