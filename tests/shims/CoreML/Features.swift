import Foundation
import MIL

extension Tensor {
    /// The elements as another type, rounded as Core ML rounds at a model's border.
    func cast(to dtype: DataType) throws -> Tensor {
        guard dtype != self.dtype else { return self }
        return Tensor((0..<count).map { double(at: $0) }, dtype: dtype, shape: shape)
    }
}

extension MLMultiArray {
    /// The elements in row-major order.
    func tensor() throws -> Tensor {
        let type = TensorType(dataType.dtype, sizes)
        let result: Tensor
        do {
            result = try Tensor(uninitialized: type)
        } catch let failure as Failure {
            throw modelError(.generic, failure.message)
        }
        StridedCopy(sizes, size: type.dtype.size)
            .copy(base, steps, to: result.storage.pointer, MLMultiArray.packed(sizes))
        return result
    }

    func fill(from tensor: Tensor) {
        StridedCopy(sizes, size: dataType.dtype.size)
            .copy(tensor.pointer, MLMultiArray.packed(sizes), to: base, steps)
        withExtendedLifetime(tensor) {}
    }
}

extension MLFeatureDescription {
    /// Fails where a value is not what the description asks for.
    func check(_ value: MLFeatureValue) throws {
        guard value.type == type else {
            throw modelError(.featureType, "The feature '\(name)' is of another kind than \(type).")
        }
        switch feature.kind {
        case .multiArray(let array): try check(value.multiArrayValue, array)
        case .image(let image): try check(value.imageBufferValue, image)
        default: break
        }
    }

    private func check(_ value: MLMultiArray?, _ array: Feature.MultiArray) throws {
        guard let value else { throw modelError(.featureType, "The feature '\(name)' has no multi-array.") }
        guard value.dataType.dtype == array.dtype else {
            throw modelError(
                .featureType, "The feature '\(name)' is \(value.dataType.dtype.name), not \(array.dtype.name).")
        }
        let fits =
            switch array.flexibility {
            case .fixed: array.shape.isEmpty || value.sizes == array.shape
            case .enumerated(let shapes): shapes.contains(value.sizes)
            case .ranges(let ranges):
                value.sizes.count == ranges.count && zip(ranges, value.sizes).allSatisfy { $0.contains($1) }
            }
        guard fits else {
            throw modelError(
                .generic,
                "MultiArray shape \(value.sizes) of '\(name)' does not match the shape \(array.shape) in the description."
            )
        }
    }

    private func check(_ value: CVPixelBuffer?, _ image: Feature.Image) throws {
        guard let value else { throw modelError(.featureType, "The feature '\(name)' has no pixel buffer.") }
        guard PixelCopy.formats(image.colorSpace).contains(CVPixelBufferGetPixelFormatType(value)) else {
            throw modelError(.featureType, "The image '\(name)' has another pixel format than the description.")
        }
        let (width, height) = (CVPixelBufferGetWidth(value), CVPixelBufferGetHeight(value))
        let fits =
            switch image.flexibility {
            case .fixed: width == image.width && height == image.height
            case .enumerated(let sizes): sizes.contains(.init(width: width, height: height))
            case .ranges(let widths, let heights): widths.contains(width) && heights.contains(height)
            }
        guard fits else {
            throw modelError(
                .generic, "The image '\(name)' is \(width) x \(height), which the description does not allow.")
        }
    }

    /// What the program gets for a feature: a tensor of the description's element type.
    func tensor(from value: MLFeatureValue?) throws -> Tensor {
        guard let value, !value.isUndefined else { return try standard() }
        try check(value)
        switch feature.kind {
        case .image(let image):
            guard let buffer = value.imageBufferValue else { break }
            return try PixelCopy.tensor(buffer, image)
        default:
            guard let array = value.multiArrayValue else { break }
            return try array.tensor()
        }
        throw modelError(.featureType, "The feature '\(name)' is neither a multi-array nor an image.")
    }

    /// The value of an optional input that is not given.
    private func standard() throws -> Tensor {
        guard isOptional, case .multiArray(let array) = feature.kind else {
            throw modelError(.featureType, "Feature \(name) is required but not specified.")
        }
        let number = array.defaultValue ?? 0
        let count = array.shape.reduce(1, *)
        return Tensor([Double](repeating: number, count: count), dtype: array.dtype, shape: array.shape)
    }
}

/// Moves pixels between buffers and tensors of shape [1, channels, height, width].
enum PixelCopy {
    static func formats(_ space: Feature.ColorSpace) -> [OSType] {
        switch space {
        case .rgb, .bgr: [kCVPixelFormatType_32BGRA, kCVPixelFormatType_32ARGB]
        case .grayscale: [kCVPixelFormatType_OneComponent8]
        case .grayscaleFloat16: [kCVPixelFormatType_OneComponent16Half]
        }
    }

    /// The byte of a pixel that each channel of the program is.
    private static func places(_ space: Feature.ColorSpace, _ format: OSType) -> [Int] {
        let rgb = format == kCVPixelFormatType_32ARGB ? [1, 2, 3] : [2, 1, 0]
        switch space {
        case .rgb: return rgb
        case .bgr: return rgb.reversed()
        case .grayscale, .grayscaleFloat16: return [0]
        }
    }

    static func tensor(_ buffer: CVPixelBuffer, _ image: Feature.Image) throws -> Tensor {
        CVPixelBufferLockBaseAddress(buffer, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else {
            throw modelError(.generic, "The pixel buffer has no memory.")
        }
        let (width, height) = (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
        let row = CVPixelBufferGetBytesPerRow(buffer)
        let format = CVPixelBufferGetPixelFormatType(buffer)
        let places = places(image.colorSpace, format)
        var numbers: [Double] = []
        numbers.reserveCapacity(places.count * width * height)
        for place in places {
            for y in 0..<height {
                for x in 0..<width {
                    switch image.colorSpace {
                    case .grayscaleFloat16:
                        let bits = base.loadUnaligned(fromByteOffset: y * row + 2 * x, as: UInt16.self)
                        numbers.append(Double(float(half: bits)))
                    case .grayscale: numbers.append(Double(base.load(fromByteOffset: y * row + x, as: UInt8.self)))
                    case .rgb, .bgr:
                        numbers.append(Double(base.load(fromByteOffset: y * row + 4 * x + place, as: UInt8.self)))
                    }
                }
            }
        }
        return Tensor(numbers, dtype: .float32, shape: [1, places.count, height, width])
    }

    static func buffer(
        _ tensor: Tensor, _ image: Feature.Image, _ name: String, _ backing: Any?
    ) throws -> CVPixelBuffer {
        guard tensor.shape.count == 4, tensor.shape[0] == 1 else {
            throw modelError(
                .generic, "The image '\(name)' is made from \(tensor.type); its shape must be [1, C, H, W].")
        }
        let (height, width) = (tensor.shape[2], tensor.shape[3])
        let buffer = try target(image, width, height, name, backing)
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        let format = CVPixelBufferGetPixelFormatType(buffer)
        let places = places(image.colorSpace, format)
        guard let base = CVPixelBufferGetBaseAddress(buffer), tensor.shape[1] == places.count else {
            throw modelError(.generic, "The image '\(name)' is made from \(tensor.type), which has other channels.")
        }
        let row = CVPixelBufferGetBytesPerRow(buffer)
        for y in 0..<height {
            for x in 0..<width {
                if image.colorSpace == .rgb || image.colorSpace == .bgr {
                    let alpha = format == kCVPixelFormatType_32ARGB ? 0 : 3
                    base.storeBytes(of: 255, toByteOffset: y * row + 4 * x + alpha, as: UInt8.self)
                }
                for (channel, place) in places.enumerated() {
                    let value = tensor.double(at: (channel * height + y) * width + x)
                    let byte = UInt8(min(max(value.isNaN ? 0 : value, 0), 255).rounded(.toNearestOrEven))
                    switch image.colorSpace {
                    case .grayscaleFloat16:
                        base.storeBytes(
                            of: half(float: Float(value)), toByteOffset: y * row + 2 * x, as: UInt16.self)
                    case .grayscale: base.storeBytes(of: byte, toByteOffset: y * row + x, as: UInt8.self)
                    case .rgb, .bgr:
                        base.storeBytes(of: byte, toByteOffset: y * row + 4 * x + place, as: UInt8.self)
                    }
                }
            }
        }
        return buffer
    }

    private static func target(
        _ image: Feature.Image, _ width: Int, _ height: Int, _ name: String, _ backing: Any?
    ) throws -> CVPixelBuffer {
        if let backing {
            guard let buffer = backing as? CVPixelBuffer, CVPixelBufferGetWidth(buffer) == width,
                CVPixelBufferGetHeight(buffer) == height,
                formats(image.colorSpace).contains(CVPixelBufferGetPixelFormatType(buffer))
            else { throw modelError(.featureType, "The output backing of '\(name)' must be an image like the output.") }
            return buffer
        }
        var buffer: CVPixelBuffer?
        CVPixelBufferCreate(kCFAllocatorDefault, width, height, formats(image.colorSpace)[0], nil, &buffer)
        guard let buffer else { throw modelError(.generic, "No pixel buffer of \(width) x \(height) can be made.") }
        return buffer
    }
}
