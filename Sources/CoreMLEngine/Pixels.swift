#if canImport(CoreML)
    import CoreML
    import CoreVideo
    import MIL

    /// Images between tensors of shape [1, channels, height, width] and Core Video's pixel buffers.
    struct Pixels {
        private let format: OSType
        /// Bytes of a pixel, and of one of its channels.
        private let pixel: Int
        private let channel: Int
        /// Where each channel of the tensor lies within a pixel.
        private let places: [Int]

        init(_ colors: Feature.ColorSpace) {
            switch colors {
            case .rgb: (format, pixel, channel, places) = (kCVPixelFormatType_32BGRA, 4, 1, [2, 1, 0])
            case .bgr: (format, pixel, channel, places) = (kCVPixelFormatType_32BGRA, 4, 1, [0, 1, 2])
            case .grayscale: (format, pixel, channel, places) = (kCVPixelFormatType_OneComponent8, 1, 1, [0])
            case .grayscaleFloat16:
                (format, pixel, channel, places) = (kCVPixelFormatType_OneComponent16Half, 2, 2, [0])
            }
        }

        func buffer(of tensor: Tensor, _ name: String) throws -> CVPixelBuffer {
            let shape = tensor.shape
            var made: CVPixelBuffer?
            guard shape.count == 4, shape[0] == 1, shape[1] == places.count,
                CVPixelBufferCreate(nil, shape[3], shape[2], format, nil, &made) == kCVReturnSuccess, let buffer = made
            else {
                throw Failure(
                    .unsupported,
                    "The image '\(name)' is a \(tensor.type); Core ML takes one of shape [1, \(places.count), height, width]."
                )
            }
            try each(of: buffer, []) { index, address in
                let value = tensor.double(at: index)
                if channel == 2 { return address.storeBytes(of: half(float: Float(value)), as: UInt16.self) }
                guard let byte = UInt8(exactly: value) else {
                    throw Failure(
                        .invalidArgument,
                        "The image '\(name)' holds \(value); Core ML's images have integers from 0 to 255.")
                }
                address.storeBytes(of: byte, as: UInt8.self)
            }
            return buffer
        }

        func tensor(of buffer: CVPixelBuffer, as dtype: DataType) throws -> Tensor {
            let (height, width) = (CVPixelBufferGetHeight(buffer), CVPixelBufferGetWidth(buffer))
            guard CVPixelBufferGetPixelFormatType(buffer) == format else {
                throw Failure(.unsupported, "Core ML gave an image in another pixel format than the model says.")
            }
            var numbers = [Double](repeating: 0, count: places.count * height * width)
            try each(of: buffer, .readOnly) { index, address in
                numbers[index] =
                    channel == 2
                    ? Double(float(half: address.load(as: UInt16.self))) : Double(address.load(as: UInt8.self))
            }
            return Tensor(numbers, dtype: dtype, shape: [1, places.count, height, width])
        }

        /// Visits every element in the order of the tensor, with its place in the locked buffer.
        private func each(
            of buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags,
            _ body: (_ index: Int, _ address: UnsafeMutableRawPointer) throws -> Void
        ) throws {
            CVPixelBufferLockBaseAddress(buffer, flags)
            defer { CVPixelBufferUnlockBaseAddress(buffer, flags) }
            guard let base = CVPixelBufferGetBaseAddress(buffer) else {
                throw Failure(.outOfMemory, "The system gives no memory for an image.")
            }
            let (height, width) = (CVPixelBufferGetHeight(buffer), CVPixelBufferGetWidth(buffer))
            let row = CVPixelBufferGetBytesPerRow(buffer)
            var index = 0
            for place in places {
                for y in 0..<height {
                    for x in 0..<width {
                        try body(index, base + (y * row + x * pixel + place))
                        index += 1
                    }
                }
            }
        }
    }
#endif
