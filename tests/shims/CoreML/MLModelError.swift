@_exported import CoreVideo
@_exported import Foundation
@_exported import Metal

public let MLModelErrorDomain = "com.apple.CoreML"

/// Information about a Core ML model error: an NSError of Core ML's domain.
public struct MLModelError: _BridgedStoredNSError {
    public let _nsError: NSError
    public init(_nsError: NSError) { self._nsError = _nsError }

    public static var errorDomain: String { MLModelErrorDomain }
    public static var _nsErrorDomain: String { MLModelErrorDomain }

    public enum Code: Int, Sendable, _ErrorCodeProtocol {
        public typealias _ErrorType = MLModelError
        case generic = 0
        case featureType = 1
        case io = 3
        case customLayer = 4
        case customModel = 5
        case update = 6
        case parameters = 7
        case modelDecryptionKeyFetch = 8
        case modelDecryption = 9
        case modelCollection = 10
        case predictionCancelled = 11
    }

    public static var generic: Code { .generic }
    public static var featureType: Code { .featureType }
    public static var io: Code { .io }
    public static var customLayer: Code { .customLayer }
    public static var customModel: Code { .customModel }
    public static var update: Code { .update }
    public static var parameters: Code { .parameters }
    public static var modelDecryptionKeyFetch: Code { .modelDecryptionKeyFetch }
    public static var modelDecryption: Code { .modelDecryption }
    public static var modelCollection: Code { .modelCollection }
    public static var predictionCancelled: Code { .predictionCancelled }
}

/// An error of Core ML's domain with its words.
func modelError(_ code: MLModelError.Code, _ words: String) -> MLModelError {
    MLModelError(code, userInfo: [NSLocalizedDescriptionKey: words])
}
